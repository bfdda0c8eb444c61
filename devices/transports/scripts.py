"""What runs on the device: POSIX shell programs that never change; data reaches them as arguments.

They keep to what dash, bash, BusyBox, toybox and Android's mksh have in common.
"""

from __future__ import annotations

RUN = r"""
folder=$1 token=$2 limit=$3 ends=$4
shift 4
end=folder
if mkdir -p "$folder" && cd "$folder"; then
    if command -v timeout >/dev/null 2>&1; then
        near=
        if command -v toybox >/dev/null 2>&1 && timeout --foreground 1 true 2>/dev/null; then
            near=--foreground
        fi
        timeout $near -s KILL "$limit" sh -c 'exec "$@"' sh "$@"
    else
        (exec "$@")
    fi
    end=$?
fi
if [ "$ends" = 2 ]; then printf '\n%s %s\n' "$token" "$end"; fi
printf '\n%s %s\n' "$token" "$end" >&2
"""
"""Arguments: work folder, token, seconds, 2 or 1, the command.

Ends both streams, or standard error alone, with a line `token exit-code`, or `token folder` where
there is no folder. A command that this machine has given up is ended by the device itself: nothing
of it goes on. `exec` in a shell, for an execvp, as `timeout` has, would read a foreign program as
a shell's. In toybox 0.8.8 and 0.8.9 `timeout` forks where it makes a process group, and ends with
any number if the command was done before it went on (landley/toybox, issue 389).
"""

STREAM = r"""
folder=$1
shift
mkdir -p "$folder" && cd "$folder" && exec "$@"
"""
"""Arguments: work folder, the command. Nothing is added to its streams."""

_ENTER = r"""
LC_ALL=C
export LC_ALL
enter() {
    case $PWD/ in
        "$root"/*) ;;
        *) echo "a link leads out of the work folder" >&2; exit 1 ;;
    esac
}
cd -P . && root=$PWD || exit 1
rest=$1
while [ "$rest" != "${rest#*/}" ]; do
    part=${rest%%/*}
    rest=${rest#*/}
    if [ "$make" = 1 ] && [ ! -d "./$part" ]; then mkdir "./$part" || exit 1; fi
    cd -P "./$part" || exit 1
    enter
done
"""

PREPARE = (
    "make=1\n"
    + _ENTER
    + r"""
if [ -d "./$rest" ]; then echo "is a folder" >&2; exit 1; fi
new=$PWD/.$rest.$2
: >"$new" || exit 1
printf '%s/' "$new"
"""
)
"""Arguments: name, token. Makes the folders on the way and an empty file beside the name, and
prints its absolute path, with a slash after it, so that the last character is no line end.
"""

WRITE = 'cat >"$1"'
"""Argument: path. Writes standard input to it."""

FINISH = r"""
LC_ALL=C
export LC_ALL
size=$(wc -c <"$1") || exit 1
if [ "$size" -ne "$3" ]; then echo "has $size bytes of $3" >&2; rm -f "$1"; exit 1; fi
chmod "$4" "$1" && mv -f "$1" "${1%/*}/$2"
"""
"""Arguments: path of the new file, last part of its name, bytes, mode. It takes the name whole or
not at all.
"""

REMOVE = 'rm -f "$1"'
"""Argument: path."""

FIND = (
    "make=0\n"
    + _ENTER
    + r"""
if [ -h "./$rest" ] || [ ! -f "./$rest" ]; then echo "is no file" >&2; exit 1; fi
size=$(wc -c <"./$rest") || exit 1
printf '%s %s/' "$((size))" "$PWD/$rest"
"""
)
"""Argument: name. Prints the file's bytes and absolute path, with a slash after it."""

READ = 'exec cat "$1"'
"""Argument: path."""

_BORN = r"""
born() {
    read -r line <"/proc/$1/stat" || return 1
    set -- ${line##*) }
    [ "$1" != Z ] || return 1
    echo "${20}"
} 2>/dev/null
"""
"""When the process `$1` was started, in ticks since the device was (proc(5)): with its number that
tells it from a later one. Fails where it is gone, or is dead and not yet buried.
"""

JOB = (
    _BORN
    + r"""
job=$1
shift
echo "$$ $(born $$)" >"$job/pid.new" && mv "$job/pid.new" "$job/pid" || exit 1
(exec "$@") </dev/null >"$job/stdout" 2>"$job/stderr"
echo "$?" >"$job/exit.new" && mv "$job/exit.new" "$job/exit"
"""
)
"""Arguments: folder of the job, the command. Runs it, and says how it ended."""

START = r"""
job=$1 script=$2
shift 2
LC_ALL=C mkdir "./$job" && echo >"./$job/stdout" || exit 1
setsid sh -c "$script" elat "./$job" "$@" </dev/null >/dev/null 2>&1 &
turns=0
while [ ! -s "./$job/pid" ] && [ "$turns" -lt 100 ]; do
    sleep 0.1
    turns=$((turns + 1))
done
[ -s "./$job/pid" ] || { echo "did not start" >&2; exit 1; }
"""
"""Arguments: name of the job, `JOB`, the command. The job leads a session of its own, so that no
hang-up reaches it; its folder holds `pid`, `stdout`, `stderr` and, at the end, `exit`.
"""

POLL = (
    _BORN
    + r"""
job=./$1
[ -s "$job/pid" ] || { echo unknown; exit 0; }
read -r pid when <"$job/pid"
now=$(born "$pid")
if [ -s "$job/exit" ]; then read -r code <"$job/exit"; echo "finished $code"
elif [ -n "$now" ] && [ "$now" = "$when" ]; then echo running
else echo lost
fi
"""
)
"""Argument: name of the job. Looks at the process first: one that ends meanwhile wrote `exit`."""

STOP = (
    _BORN
    + r"""
job=./$1
[ -s "$job/pid" ] || { echo "no such job" >&2; exit 1; }
read -r pid when <"$job/pid"
now=$(born "$pid") || exit 0
[ "$now" != "$when" ] || kill -s KILL -- "-$pid"
"""
)
"""Argument: name of the job. Ends it with everything that it started in its session's group."""

FORGET = 'rm -rf "./$1"'
"""Argument: name of the job. Deletes its folder."""
