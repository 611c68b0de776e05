# Runs inside fresh namespaces: everything read-only but the run's own folder; devices, sockets and the kernel's knobs
# out of sight; no capability left.
# usage: confine.sh FOLDER COVERED PYTHON COMMAND...   (COVERED: folders to hide, separated by colons)
set -eu
folder=$1 covered=$2 python=$3
shift 3
# The loopback interface up: a test may talk to itself. (SIOCSIFFLAGS, IFF_UP | IFF_RUNNING)
"$python" -I -S -c 'import fcntl, socket, struct
fcntl.ioctl(socket.socket(), 0x8914, struct.pack("16sh22x", b"lo", 0x41))'
mount --make-rprivate /
mount --bind "$folder" /mnt
dev=$(mktemp -d /mnt/dev.XXXXXX)
for name in null zero full random urandom; do
    : > "$dev/$name"
    mount --bind "/dev/$name" "$dev/$name"
done
mkdir "$dev/shm"
mount --rbind "$dev" /dev
mount -t tmpfs -o size=64m,nosuid,nodev shadowlab /dev/shm
IFS=:
for place in $covered; do
    if [ -d "$place" ]; then mount -t tmpfs -o size=1m,nosuid,nodev shadowlab "$place"; fi
done
unset IFS
mkdir -p "$folder"
mount --move /mnt "$folder"
while read -r _ _ _ _ point _; do
    case "$point" in
        "$folder" | /dev/shm) ;;
        *) mount -o remount,bind,ro "$point" 2>/dev/null || true ;;
    esac
done < /proc/self/mountinfo
cd "$folder/tree"
ulimit -c 0
exec setpriv --bounding-set=-all --inh-caps=-all --ambient-caps=-all --no-new-privs -- "$@"
