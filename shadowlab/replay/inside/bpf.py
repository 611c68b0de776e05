"""A seccomp filter through ctypes: what a replay may not ask of the kernel. Refusals are errors, never a kill.

Written here and not taken from a package because it has to load in any service's own interpreter, where neither
libseccomp nor a wheel can be expected. Numbers: the kernel's `syscall_64.tbl` and `asm-generic/unistd.h`; filter
format: `Documentation/userspace-api/seccomp_filter.rst`.
"""

from __future__ import annotations

import ctypes
import errno
import os
import socket
import struct

_PR_SET_SECCOMP, _MODE_FILTER = 22, 2
_ALLOW, _ERRNO, _KILL = 0x7FFF0000, 0x00050000, 0x80000000
_LOAD, _JEQ, _JGE, _JSET, _AND, _RET = 0x20, 0x15, 0x35, 0x45, 0x54, 0x06
_NR, _ARCH, _ARGS = 0, 4, 16
_X32 = 0x40000000
_NEW_NAMESPACES = 0x7E020000
_CLONE_THREAD = 0x00010000
_SOCK_STREAM = 1
_TERMINAL_INJECTION = (0x5412, 0x541C)

_COMMON = {
    "pidfd_send_signal": 424, "io_uring_setup": 425, "io_uring_enter": 426, "io_uring_register": 427,
    "open_tree": 428, "move_mount": 429, "fsopen": 430, "fsconfig": 431, "fsmount": 432, "fspick": 433,
    "pidfd_open": 434, "clone3": 435, "pidfd_getfd": 438, "mount_setattr": 442, "memfd_secret": 447,
    "process_madvise": 440, "process_mrelease": 448, "fchmodat2": 452, "setxattrat": 463, "removexattrat": 466,
}  # fmt: skip
_X86_64 = {
    "connect": 42, "accept": 43, "sendto": 44, "bind": 49, "listen": 50, "accept4": 288, "socket": 41,
    "socketpair": 53, "ptrace": 101, "mount": 165, "umount2": 166, "unshare": 272, "setns": 308, "pivot_root": 155,
    "chroot": 161, "clone": 56, "fork": 57, "vfork": 58, "execve": 59, "execveat": 322, "bpf": 321, "keyctl": 250,
    "add_key": 248, "request_key": 249, "userfaultfd": 323, "perf_event_open": 298, "process_vm_readv": 310,
    "process_vm_writev": 311, "kill": 62, "tkill": 200, "tgkill": 234, "rt_sigqueueinfo": 129,
    "rt_tgsigqueueinfo": 297, "open_by_handle_at": 304, "name_to_handle_at": 303, "kexec_load": 246,
    "kexec_file_load": 320, "init_module": 175, "finit_module": 313, "delete_module": 176, "reboot": 169,
    "swapon": 167, "swapoff": 168, "acct": 163, "settimeofday": 164, "clock_settime": 227, "adjtimex": 159,
    "clock_adjtime": 305, "sethostname": 170, "setdomainname": 171, "personality": 135, "iopl": 172, "ioperm": 173,
    "quotactl": 179, "syslog": 103, "fanotify_init": 300, "shmget": 29, "msgget": 68, "semget": 64, "mq_open": 240,
    "chmod": 90, "fchmod": 91, "fchmodat": 268, "chown": 92, "fchown": 93, "lchown": 94, "fchownat": 260,
    "utime": 132, "utimes": 235, "futimesat": 261, "utimensat": 280, "setxattr": 188, "lsetxattr": 189,
    "fsetxattr": 190, "removexattr": 197, "lremovexattr": 198, "fremovexattr": 199, "setpriority": 141,
    "sched_setparam": 142, "sched_setscheduler": 144, "sched_setaffinity": 203, "sched_setattr": 314,
    "ioprio_set": 251, "inotify_add_watch": 254, "vhangup": 153,
    "prlimit64": 302, "ioctl": 16, "lookup_dcookie": 212, "move_pages": 279, "migrate_pages": 256, "kcmp": 312,
}  # fmt: skip
_AARCH64 = {
    "socket": 198, "socketpair": 199, "bind": 200, "listen": 201, "accept": 202, "connect": 203, "sendto": 206,
    "accept4": 242, "ptrace": 117, "mount": 40, "umount2": 39, "unshare": 97, "setns": 268, "pivot_root": 41,
    "chroot": 51, "clone": 220, "execve": 221, "execveat": 281, "bpf": 280, "keyctl": 219, "add_key": 217,
    "request_key": 218, "userfaultfd": 282, "perf_event_open": 241, "process_vm_readv": 270,
    "process_vm_writev": 271, "kill": 129, "tkill": 130, "tgkill": 131, "rt_sigqueueinfo": 138,
    "rt_tgsigqueueinfo": 240, "open_by_handle_at": 265, "name_to_handle_at": 264, "kexec_load": 104,
    "kexec_file_load": 294, "init_module": 105, "finit_module": 273, "delete_module": 106, "reboot": 142,
    "swapon": 224, "swapoff": 225, "acct": 89, "settimeofday": 170, "clock_settime": 112, "adjtimex": 171,
    "clock_adjtime": 266, "sethostname": 161, "setdomainname": 162, "personality": 92, "quotactl": 60,
    "syslog": 116, "fanotify_init": 262, "shmget": 194, "msgget": 186, "semget": 190, "mq_open": 180,
    "fchmod": 52, "fchmodat": 53, "fchownat": 54, "fchown": 55, "utimensat": 88, "setxattr": 5, "lsetxattr": 6,
    "fsetxattr": 7, "removexattr": 14, "lremovexattr": 15, "fremovexattr": 16, "setpriority": 140,
    "sched_setparam": 118, "sched_setscheduler": 119, "sched_setaffinity": 122, "sched_setattr": 274,
    "ioprio_set": 30, "inotify_add_watch": 27, "vhangup": 58,
    "prlimit64": 261, "ioctl": 29, "lookup_dcookie": 18, "move_pages": 239, "migrate_pages": 238, "kcmp": 272,
}  # fmt: skip
_MACHINES = {"x86_64": (0xC000003E, _X86_64), "aarch64": (0xC00000B7, _AARCH64)}

# Landlock does not see changes of mode, owner, times and attributes, nor priorities: the filter has to.
# Allowed under conditions, or to the fork server only; all other names are refused outright.
_JUDGED = {"sendto", "clone", "clone3", "fork", "vfork", "socketpair", "kill", "tkill", "tgkill", "rt_sigqueueinfo",
           "rt_tgsigqueueinfo", "prlimit64", "ioctl"}  # fmt: skip
_ORDINARY = frozenset({
    "execve", "execveat", "accept", "accept4", "listen", "chmod", "fchmod", "fchmodat", "fchmodat2", "utime", "utimes",
    "futimesat", "utimensat", "setpriority", "sched_setparam", "sched_setscheduler", "sched_setaffinity",
    "sched_setattr", "ioprio_set", "inotify_add_watch", "personality", "pidfd_open", "pidfd_send_signal", "shmget",
    "semget", "msgget", "mq_open",
})  # fmt: skip
"""What tools and tests do; Landlock keeps files and, from ABI 6, signals within bounds."""
REFUSED_OUTRIGHT = frozenset({*_COMMON, *_X86_64, *_AARCH64} - _JUDGED)
"""Calls that are refused whatever their arguments."""


def confine(libc: ctypes.CDLL, *, child: bool, runs: bool = False, door: bool = False) -> bool:
    """Put the filter over this process and all it starts; False where the kernel or the machine has none.

    `runs`: it may become another program. `door`: it may make local stream sockets and ask for them to be connected.
    """
    machine = _MACHINES.get(os.uname().machine)
    if machine is None:
        return False
    return _loaded(libc, _program(*machine, child=child, runs=runs, door=door, pid=_real_pid(libc)))


def _loaded(libc: ctypes.CDLL, program: bytes) -> bool:
    content = ctypes.create_string_buffer(program, len(program))
    header = struct.pack("HxxxxxxP", len(program) // 8, ctypes.addressof(content))
    return int(libc.prctl(_PR_SET_SECCOMP, _MODE_FILTER, ctypes.c_char_p(header), 0, 0)) == 0


def number(name: str) -> int | None:
    """The number of a system call on this machine."""
    machine = _MACHINES.get(os.uname().machine)
    return machine[1].get(name) if machine else None


def confine_command(libc: ctypes.CDLL) -> bool:
    """A looser filter, for a command that starts others and changes its own files: no socket, no hand on the system."""
    machine = _MACHINES.get(os.uname().machine)
    if machine is None:
        return False
    arch, table = machine
    numbers = {name: number for name, number in {**_COMMON, **table}.items() if name not in _ORDINARY | _JUDGED}
    refuse = _step(_RET, _ERRNO | errno.EPERM)
    code = [*_begun(arch, table), *(step for n in numbers.values() for step in (_step(_JEQ, n, 0, 1), refuse))]
    for name in ("clone3", "socketpair"):
        body = _judged(False, 0)[name]
        code += [_step(_JEQ, {**_COMMON, **table}[name], 0, len(body) + 1), *body, _step(_RET, _ALLOW)]
    return _loaded(libc, b"".join([*code, _step(_RET, _ALLOW)]))


def knows(machine: str) -> bool:
    """Whether there is a filter for this kind of machine."""
    return machine in _MACHINES


def _real_pid(libc: ctypes.CDLL) -> int:
    return int(libc.getpid())


def _program(arch: int, table: dict[str, int], *, child: bool, runs: bool, door: bool, pid: int) -> bytes:
    allowed = (["execve"] if runs else []) + (["connect"] if door else [])
    numbers = {name: number for name, number in {**_COMMON, **table}.items() if name not in allowed}
    refuse = _step(_RET, _ERRNO | errno.EPERM)
    code = _begun(arch, table)
    judged = _judged(child, pid) | (_local_streams() if door else {})
    for name, number in numbers.items():
        if name not in judged and name not in _JUDGED:
            code += [_step(_JEQ, number, 0, 1), refuse]
    for name, body in judged.items():
        if name in numbers:
            code += [_step(_JEQ, numbers[name], 0, len(body) + 1), *body, _step(_RET, _ALLOW)]
    return b"".join([*code, _step(_RET, _ALLOW)])


def _begun(arch: int, table: dict[str, int]) -> list[bytes]:
    """A foreign architecture's numbers mean other calls: nothing may come in that way."""
    code = [_step(_LOAD, _ARCH), _step(_JEQ, arch, 1, 0), _step(_RET, _KILL), _step(_LOAD, _NR)]
    if table is _X86_64:
        code += [_step(_JGE, _X32, 0, 1), _step(_RET, _ERRNO | errno.EPERM)]
    return code


def _judged(child: bool, pid: int) -> dict[str, list[bytes]]:
    """For each call that depends on its arguments: steps that refuse, or fall through to *allow*."""
    refuse = _step(_RET, _ERRNO | errno.EPERM)
    missing = _step(_RET, _ERRNO | errno.ENOSYS)
    namespaces = [_arg(0), _step(_JSET, _NEW_NAMESPACES, 0, 1), refuse]
    threads_only = [_arg(0), _step(_JSET, _CLONE_THREAD, 1, 0), refuse]
    own = [_arg(0), _step(_JEQ, pid & 0xFFFFFFFF, 1, 0), refuse]
    own_or_zero = [_arg(0), _step(_JEQ, 0, 2, 0), _step(_JEQ, pid & 0xFFFFFFFF, 1, 0), refuse]
    injection = [_arg(1)]
    for request in _TERMINAL_INJECTION:
        injection += [_step(_JEQ, request, 0, 1), refuse]
    judged = {
        # glibc falls back to clone, whose flags can be seen here; clone3's cannot.
        "clone3": [missing],
        "clone": namespaces + (threads_only if child else []),
        # Only streams: a datagram socket of a pair could still be sent to any address.
        "socketpair": [_arg(1), _step(_AND, 0xF), _step(_JEQ, _SOCK_STREAM, 1, 0), refuse],
        # Without an address it is `send` on a connection that is there already.
        "sendto": [_arg(4), _step(_JEQ, 0, 1, 0), refuse, _arg(4, high=True), _step(_JEQ, 0, 1, 0), refuse],
        "prlimit64": own_or_zero,
        "ioctl": injection,
    }
    if child:
        judged |= {"fork": [refuse], "vfork": [refuse], "kill": own, "tkill": [refuse], "tgkill": own,
                   "rt_sigqueueinfo": own, "rt_tgsigqueueinfo": own}  # fmt: skip
    return judged


def _local_streams() -> dict[str, list[bytes]]:
    """Steps that let `socket` make streams of the local family only."""
    refuse = _step(_RET, _ERRNO | errno.EPERM)
    local = [_arg(0), _step(_JEQ, socket.AF_UNIX, 1, 0), refuse]
    return {"socket": [*local, _arg(1), _step(_AND, 0xF), _step(_JEQ, _SOCK_STREAM, 1, 0), refuse]}


def _arg(index: int, *, high: bool = False) -> bytes:
    return _step(_LOAD, _ARGS + 8 * index + 4 * high)


def _step(code: int, k: int, yes: int = 0, no: int = 0) -> bytes:
    return struct.pack("HBBI", code, yes, no, k)
