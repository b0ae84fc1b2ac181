"""The check against the last release: a loss is told, noise is not."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from benchmarks.speed import pairs, release
from benchmarks.speed.rounds import ROOT, Cell, measure
from benchmarks.speed.workload import Contestant, Workload
from benchmarks.speed.workloads import WORKLOADS, chosen


def nothing(items):
    return items


def pair(now=(), then=(), ranks="seconds"):
    contestant = Contestant("ours", nothing, "ours")
    workload = Workload("W0", "nothing", 10, (contestant,), lambda items, taken: None, ranks=ranks)
    cells = [
        Cell(workload, contestant, 10, [{"items": 10, ranks: each} for each in rounds])
        for rounds in (now, then)
    ]
    return pairs.Pair(*cells)


@pytest.mark.parametrize(
    ("now", "then", "lost"),
    [
        ((1.0, 1.0, 1.0), (1.0, 1.0, 1.0), False),
        ((1.0, 1.0, 1.0), (2.0, 2.0, 2.0), False),
        ((1.1, 1.1, 1.1), (1.0, 1.0, 1.0), False),
        ((1.2, 1.2, 1.2), (1.0, 1.0, 1.0), True),
        ((1.0, 3.0, 3.0), (1.0, 1.0, 1.0), False),
        ((1.2, 1.2, 1.2), (1.0, 1.3, 1.3), False),
    ],
    ids=["as before", "faster", "a little", "slower", "as good at best", "as good in the middle"],
)
def test_what_is_lost(now, then, lost):
    assert pair(now, then).lost is lost


@pytest.mark.parametrize(("ranks", "grown"), [("peak", 900_000), ("p50", 15e-6)])
def test_what_a_machine_adds_is_no_loss(ranks, grown):
    least = {"peak": 100_000, "p50": 50e-6}[ranks]
    assert not pair([least + grown], [least], ranks).lost
    assert pair([least + 2 * grown], [least], ranks).lost


def test_a_loss_is_measured_once_more(monkeypatch):
    figures = iter([1.0, 2.0, *[1.0] * 4])
    monkeypatch.setattr(
        pairs, "measure", lambda cell, python: cell.rounds.append({"items": 1, "seconds": next(figures)})
    )
    assert pairs.judged(pair(), rounds=1)
    assert next(figures, None) is None


def test_a_loss_that_stays_is_told(monkeypatch):
    def slow_now(cell, python):
        cell.rounds.append({"items": 1, "seconds": 2.0 if cell is now else 1.0})

    tried = pair()
    now = tried.now
    monkeypatch.setattr(pairs, "measure", slow_now)
    assert not pairs.judged(tried, rounds=3)
    assert str(tried) == "0.50 (0.50 to 0.50) LOST"


@pytest.mark.parametrize(
    ("broken", "right", "told"),
    [("then", True, "not compared: the release: it broke"), ("now", False, "not compared: it broke")],
)
def test_only_what_we_cannot_do_is_a_fault(monkeypatch, broken, right, told):
    def breaks(cell, python):
        cell.failure = "it broke" if cell is getattr(tried, broken) else ""

    tried = pair()
    monkeypatch.setattr(pairs, "measure", breaks)
    assert pairs.judged(tried, rounds=1) is right
    assert str(tried) == told


def test_all_that_is_ours_is_compared_with_the_release(tmp_path):
    all_pairs = pairs.pairs_of(chosen([]), tmp_path)
    ours = [
        f"{workload.name}/{each.name}"
        for workload in WORKLOADS
        for each in workload.contestants
        if each.role == "ours"
    ]
    assert [each.name for each in all_pairs] == ours
    assert {(each.now.place, each.then.place) for each in all_pairs} == {(ROOT, tmp_path)}


def test_ours_is_imported_from_where_the_cell_says(tmp_path):
    package = tmp_path / "asyncdataflow"
    package.mkdir()
    (package / "__init__.py").write_text("raise ImportError('this is the release')")
    workload, [contestant] = chosen(["W8/ours"])[0]
    cell = Cell(workload, contestant, 1, place=tmp_path)
    measure(cell, sys.executable)
    assert cell.failure == "ImportError: this is the release"


def test_an_interpreter_that_is_gone_is_told(tmp_path):
    workload, [contestant] = chosen(["W8/ours"])[0]
    cell = Cell(workload, contestant, 1)
    measure(cell, str(tmp_path / "python"))
    assert cell.failure.startswith("not started: ")
    assert cell.medians is None


@pytest.fixture
def git(tmp_path, monkeypatch):
    def run(*arguments):
        who = [f"GIT_{role}_{what}=nobody" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")]
        monkeypatch.setattr(release, "ROOT", tmp_path)
        for each in who:
            monkeypatch.setenv(*each.split("="))
        return release._git(*arguments).stdout.decode().strip()

    run("init", "--quiet")
    (tmp_path / "asyncdataflow").mkdir()
    for number in range(3):
        (tmp_path / "asyncdataflow" / "__init__.py").write_text(f"NUMBER = {number}")
        run("add", ".")
        run("commit", "--quiet", "--message", f"{number}")
    return run


def test_the_last_release_is_the_newest_tag_before_this_commit(git):
    git("tag", "v1", "HEAD~2")
    git("tag", "v2", "HEAD~1")
    git("tag", "v3", "HEAD")
    assert release.last() == "v2"


def test_until_there_is_a_tag_a_commit_is_named(git, tmp_path, monkeypatch):
    assert re.fullmatch(r"[0-9a-f]{40}\n", release.NAMED.read_text())
    monkeypatch.setattr(release, "NAMED", tmp_path / "named.txt")
    release.NAMED.write_text(git("rev-parse", "HEAD~1") + "\n")
    assert release.last() == git("rev-parse", "HEAD~1")


def test_the_package_is_taken_out_as_it_was(git, tmp_path):
    place = release.checked_out("HEAD~1", tmp_path / "places")
    assert (place / "asyncdataflow" / "__init__.py").read_text() == "NUMBER = 1"
    assert release.checked_out("HEAD~1", tmp_path / "places") == place


def test_a_release_that_git_does_not_know_is_an_error(git, tmp_path):
    with pytest.raises(subprocess.CalledProcessError, match="v9"):
        release.checked_out("v9", tmp_path / "places")
