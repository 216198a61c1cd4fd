"""The process ends: killed, or asked to, at any move or write, or at any instant of its processor time."""

import os
import signal

from protocol import KILL, TERMINATE, Fault, Scene, at, end_by


def killed(scene: Scene) -> Fault:
    """SIGKILL."""
    return _ended(scene, KILL)


def terminated(scene: Scene) -> Fault:
    """SIGTERM."""
    return _ended(scene, TERMINATE)


def _ended(scene: Scene, signum: signal.Signals) -> Fault:
    if scene.random.random() < 0.6:
        place = scene.place()
        return Fault(f"{signum.name} at place {place}", at(place, end_by(signum)))
    seconds = float(scene.random.uniform(0.001, 0.25))

    def inside() -> None:
        signal.signal(signal.SIGVTALRM, lambda *_: os.kill(os.getpid(), signum))
        signal.setitimer(signal.ITIMER_VIRTUAL, seconds)

    return Fault(f"{signum.name} after {seconds:.3f} s of processor time", inside)
