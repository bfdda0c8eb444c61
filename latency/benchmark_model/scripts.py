"""What runs on the device: POSIX shell programs that never change, as in `devices/transports`."""

from __future__ import annotations

RUN = r"""
token=$1 plan=$2 out=$3 limit=$4 mask=$5 program=$6
set -f
mkdir -p "$out" || exit 1
guard= near=
if command -v timeout >/dev/null 2>&1; then
    if command -v toybox >/dev/null 2>&1 && timeout --foreground 1 true 2>/dev/null; then
        near=--foreground
    fi
    guard="timeout $near -s KILL $limit"
fi
[ -z "$mask" ] || guard="$guard taskset $mask"
since_start() { now= && read -r now rest </proc/uptime; now=${now%%.*}; } 2>/dev/null
while read -r number model saves words; do
    printf '\n%s begin %s\n' "$token" "$number" || exit 74
    set -- "--graph=$model/model.tflite" $words
    [ "$saves" = 0 ] || set -- "$@" "--output_filepath=$out/$number"
    rm -f "$out/end"
    since_start
    began=$now took=
    {
        $guard "$program" "$@" </dev/null 2>&1
        echo "$?" >"$out/end"
    } | head -c 65536
    read -r end <"$out/end" || exit 74
    since_start
    [ -z "$now" ] || [ -z "$began" ] || took=$((now - began))
    printf '\n%s end %s %s %s\n' "$token" "$number" "$end" "$took" || exit 74
done <"$plan"
printf '\n%s done\n' "$token" || exit 74
"""
"""Arguments: token, plan, folder for outputs, seconds, CPU mask or nothing, the program.

A line of the plan is an invocation: its number, the folder of its model, whether it writes its
output, and the flags. What an invocation prints stands between two lines that begin with the
token, of which the second has its exit code and, where they are told, the seconds that it took;
what is too much is cut off, and ends the program. Exit code 74 is a full disk. Of `timeout` see
`devices/transports/scripts.py`.
"""

MISSING = r"""
for key; do
    if [ -e "models/$key/whole" ]; then touch "models/$key"; else printf '%s\n' "$key"; fi
done
"""
"""Arguments: keys of models. Prints those that are not there, and notes that the others are used.
"""

UNPACK = r"""
bundle=$1
new=models/.new-$$
trap 'rm -rf "$new" "$bundle"' EXIT
mkdir -p "$new" && tar -xf "$bundle" -C "$new" || exit 1
for folder in "$new"/*; do
    key=${folder##*/}
    [ -e "models/$key/whole" ] || { rm -rf "models/$key"; mv "$folder" "models/$key"; } || exit 1
done
"""
"""Argument: a tar file with a folder a model. Each arrives whole or not at all."""

COLLECT = r"""
out=$1 most=$2
[ -d "$out" ] || mkdir -p "$out" || exit 1
cd "$out" && rm -f ../collected.tar || exit 1
for file in *; do
    if [ -h "$file" ] || [ ! -f "$file" ] || [ "$(wc -c <"$file")" -gt "$most" ]; then
        rm -rf "./$file"
    fi
done
tar -cf ../collected.tar .
"""
"""Arguments: a folder for outputs, bytes. Packs it into one file beside it; what is no file, or
longer than that, is deleted.
"""

JOBS = r"""
for job in job-*; do
    [ ! -d "./$job" ] || printf '%s\n' "$job"
done
"""
"""Prints the folders of all jobs of runs."""

FORGET = r"""
rm -rf "runs/$1" job-"$1"-* || exit 1
rmdir runs 2>/dev/null
exit 0
"""
"""Argument: key of a run. Deletes all that it has left."""

CLEAR = r"""
rm -rf models-*.tar .models-*.tar.* models/.new-*
old() { find "$@" -exec rm -rf {} \; 2>/dev/null; }
old . -mindepth 1 -maxdepth 1 -name 'job-*' -mtime +7
old runs -mindepth 1 -maxdepth 1 -mtime +7
old models -mindepth 1 -maxdepth 1 -mtime +30
rmdir runs 2>/dev/null
exit 0
"""
"""Deletes models on their way, and those unused for 30 days; and what runs have left that nobody
took up for a week: another campaign may come back for what is younger.
"""
