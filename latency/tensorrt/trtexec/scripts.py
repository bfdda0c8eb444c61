"""What runs on the device: POSIX shell programs that never change, as in `devices/transports`."""

from __future__ import annotations

FIND = r"""
path=$(command -v "$1") || path=$2
case $path in
    /*) [ -f "$path" ] && [ -x "$path" ] && printf '%s/' "$path" ;;
    *) exit 1 ;;
esac
"""
"""Arguments: a program, where else it may be or nothing. Prints its absolute path, with a slash
after it, so that the last character is no line end.
"""

SUMS = r"""
command -v sha256sum >/dev/null || { echo "sha256sum is missing" >&2; exit 1; }
for file; do
    if [ -f "$file" ] && [ ! -h "$file" ]; then
        sum=$(sha256sum <"$file") && size=$(wc -c <"$file") || exit 1
        printf '%s %s %s\n' "${sum%% *}" "$((size))" "$file"
    fi
done
"""
"""Arguments: files without line ends in their names. Prints hash, bytes and name of those that are
there.
"""

RUN = r"""
limit=$1 mask=$2 folder=$3
shift 3
cd "./$folder" && rm -f late times.json outputs.json trtexec.log || exit 1
[ -z "$mask" ] || set -- taskset "$mask" "$@"
(
    trap 'kill "$nap"; exit 0' TERM
    sleep "$limit" &
    nap=$!
    wait "$nap"
    : >late
    kill -s KILL 0
) 2>/dev/null &
watch=$!
read -r begun rest </proc/uptime
"$@" </dev/null >trtexec.log 2>&1
end=$?
read -r ended rest </proc/uptime
kill -s TERM "$watch"
printf '\n%s %s\n' "$begun" "$ended" >>trtexec.log
exit "$end"
"""
"""Arguments: seconds, CPU mask or nothing, folder, the command. Runs it there as a job: too late
it is killed with all that it started, which the file `late` tells. What it printed, and after it
the seconds since the device was started before and after it, are in `trtexec.log`.
"""

JOBS = r"""
for job in trtexec-job-*; do
    [ ! -d "./$job" ] || printf '%s\n' "$job"
done
"""
"""Prints the folders of all jobs that runs of trtexec have left."""
