"""Holds one child process that must not outlive whoever asked for it. Run as a script, never imported.

    python -I -S supervisor.py GRACE_SECONDS PROGRAM [ARGUMENT ...]

Writes the child's pid as one line to stdout, then waits. The child is ended (SIGTERM, SIGKILL after the grace) when
standard input closes, which the kernel does for an owner that was SIGKILLed, when the owner is no longer our parent (a
fork of it may hold the pipe), or on SIGTERM. If this process is killed, Linux kills the child (``PR_SET_PDEATHSIG``; it
is set here and not in the owner because it goes by the thread that forks, and this process has only one). Exit code:
the child's, 128 + signal where a signal ended it, 127 where it could not be started.

It knows the standard library only, so that it starts in milliseconds and needs no installed package.
"""

import contextlib
import ctypes
import os
import select
import signal
import subprocess
import sys

PR_SET_PDEATHSIG = 1
OWNER_CHECK_SECONDS = 0.5
STDIN, STDOUT = 0, 1


def die_with_supervisor() -> None:
    """Ask Linux, in the child before it becomes the program, to kill it when this supervisor ends."""
    supervisor = os.getppid()
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != supervisor:  # it ended before the kernel was told
        os._exit(1)


def wait_for_end(child: "subprocess.Popen[bytes]", wake: int) -> None:
    """Return when the child has ended, or when it has to: owner gone, or SIGTERM."""
    owner = os.getppid()
    while child.poll() is None:
        ready, _, _ = select.select([STDIN, wake], [], [], OWNER_CHECK_SECONDS)
        if STDIN in ready and not os.read(STDIN, 64):
            return
        if wake in ready and signal.SIGTERM in os.read(wake, 64):
            return
        if os.getppid() != owner:
            return


def end(child: "subprocess.Popen[bytes]", grace: float) -> None:
    """Ask the child to end, and after ``grace`` seconds make it."""
    with contextlib.suppress(ProcessLookupError):
        child.terminate()
    try:
        child.wait(timeout=grace)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()


def main(grace: float, command: list[str]) -> int:
    """Run ``command`` for as long as there is an owner."""
    signal.pthread_sigmask(signal.SIG_SETMASK, [])  # an owner that blocks signals does not block them for us
    wake_read, wake_write = os.pipe()
    os.set_blocking(wake_write, False)
    signal.set_wakeup_fd(wake_write)
    for number in (signal.SIGCHLD, signal.SIGTERM):
        signal.signal(number, lambda *_: None)  # the byte on the wake-up pipe says which
    try:
        child = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=sys.stderr,
            preexec_fn=die_with_supervisor if sys.platform == "linux" else None,  # noqa: PLW1509 - one thread only
        )
    except OSError as problem:
        print(f"{command[0]}: {problem.strerror}", file=sys.stderr)  # noqa: T201 - stderr is the log of the child
        return 127
    os.write(STDOUT, b"%d\n" % child.pid)
    wait_for_end(child, wake_read)
    end(child, grace)
    return child.returncode if child.returncode >= 0 else 128 - child.returncode


if __name__ == "__main__":
    sys.exit(main(float(sys.argv[1]), sys.argv[2:]))
