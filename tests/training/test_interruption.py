"""What a signal leaves of a script, a spawned process, a thread and a prompt: one line, a status, no traceback."""

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
import torch

from ganneal.training.interruption import Interrupted, Interruption

STOPPED = (
    "from ganneal.training.interruption import Interrupted\ndef stop():\n    raise Interrupted({}, 'stopped; saved.')\n"
)


def run(script: str, *options: str, **more: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *options, "-c", textwrap.dedent(script)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, env=os.environ | more)


@pytest.mark.parametrize("signum", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.slow)])
def test_a_script_that_catches_it_goes_on_and_one_that_does_not_ends_with_the_message_and_the_status(
    signum: int,
) -> None:
    script = """
        import atexit
        try:
            try:
                stop()
            except Exception:
                print("swallowed")
        except Interrupted as why:
            print(why.signum, why)
        atexit.register(print, "tidied")
        stop()
        print("no")
        """
    done = run(STOPPED.format(int(signum)) + textwrap.dedent(script))
    said = f"{int(signum)} stopped; saved.\ntidied\n"
    assert (done.returncode, done.stdout, done.stderr) == (128 + signum, said, "stopped; saved.\n")


def test_a_spawned_process_ends_with_the_message_and_the_status(tmp_path: Path) -> None:
    (tmp_path / "job.py").write_text(STOPPED.format(15))
    done = run(
        """
        from multiprocessing import get_context
        from job import stop
        process = get_context("spawn").Process(target=stop)
        process.start()
        process.join()
        print(process.exitcode)
        """,
        PYTHONPATH=os.pathsep.join([str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])]),
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "143\n", "stopped; saved.\n")


def test_at_a_prompt_and_in_a_notebook_it_is_a_keyboard_interrupt_which_ends_no_session() -> None:
    script = """
        import code, sys
        sys.ps1 = ">>> "  # which IPython sets, too
        console = code.InteractiveConsole()
        console.push("from ganneal.training.interruption import Interrupted")
        console.push("raise Interrupted(2, 'stopped; saved.')")
        console.push("print(1)")
        """
    done = run(script)
    assert done.returncode == 0 and done.stdout == "1\n"
    assert "stopped; saved." in done.stderr


def test_which_of_both_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(sys, "ps1", raising=False)
    script = Interrupted(signal.SIGTERM, "saved")
    assert isinstance(script, Interrupted | SystemExit) and not isinstance(script, KeyboardInterrupt | Exception)
    monkeypatch.setattr(sys, "ps1", ">>> ", raising=False)
    prompt = Interrupted(signal.SIGINT, "saved")
    assert isinstance(prompt, Interrupted) and isinstance(prompt, KeyboardInterrupt)
    assert not isinstance(prompt, SystemExit | Exception)
    assert (script.signum, prompt.signum, str(script), str(prompt)) == (15, 2, "saved", "saved")


def test_a_second_sigint_insists_without_a_traceback_too() -> None:
    with pytest.raises(Interrupted, match="at once") as stopped, Interruption() as interruption:
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGTERM)
        assert interruption()
        os.kill(os.getpid(), signal.SIGINT)
    assert stopped.value.signum == signal.SIGINT


CALL = """
    import ganneal
    from dataclasses import replace
    from ganneal.experiment import Budget, Records
    from ganneal.experiments import EXPERIMENTS
    records = Records(evaluate_count=0, sample_count=4, tensorboard=False)
    experiment = replace(EXPERIMENTS["ring-cts"](), budget=Budget(d_updates=4), records=records, threads=1)
    print(ganneal.train(experiment, "run").counters.d_updates)
    """
STOPPED_AT_THE_FIRST_MOVE = """
    import os, signal
    from ganneal.engine import loop as engine
    make = engine.apply
    def apply(*step):
        make(*step)
        os.kill(os.getpid(), signal.SIGTERM)
    engine.apply = apply
    """


@pytest.mark.runs
@pytest.mark.usefixtures("empty_pictures")
def test_training_in_a_script_saves_and_ends_and_the_same_call_resumes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    stopped = run(textwrap.dedent(STOPPED_AT_THE_FIRST_MOVE) + textwrap.dedent(CALL))
    assert (stopped.returncode, stopped.stdout) == (143, ""), stopped.stderr
    (line,) = stopped.stderr.splitlines()
    assert line.startswith("stopped by a signal; saved ") and line.endswith("The same call resumes.")
    threads = torch.get_num_threads()
    exec(textwrap.dedent(CALL), {})
    torch.set_num_threads(threads)
    assert capsys.readouterr() == ("4\n", "")
