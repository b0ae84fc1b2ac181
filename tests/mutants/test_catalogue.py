"""The catalogue fits the package as it is; ``make mutants`` runs it."""

from __future__ import annotations

import itertools
import re

import pytest

from tests.mutants import catalogue
from tests.mutants.catalogue import MUTANTS
from tests.source import PACKAGE, ROOT


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda each: each.name)
def test_a_mutant_can_be_made(mutant):
    mistaken = mutant.text(PACKAGE)
    compile(mistaken, mutant.file, "exec")
    assert mistaken != (PACKAGE / mutant.file).read_text(encoding="utf-8")


def test_each_mutant_is_another():
    assert len({each.name for each in MUTANTS}) == len(MUTANTS)
    assert len({(each.file, each.old, each.new) for each in MUTANTS}) == len(MUTANTS)


def test_contributors_are_told_how_many_there_are():
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)\.py` \| (\d+) \| .* \| (.+) \|$", text, re.M)
    assert f"There are {sum(int(count) for _, count, _ in rows)}, a file for each family" in text
    families = {name: [each.name for each in getattr(catalogue, name).MUTANTS] for name, _, _ in rows}
    assert sorted(itertools.chain(*families.values())) == sorted(each.name for each in MUTANTS)
    for name, count, such_as in rows:
        assert (len(families[name]), such_as in families[name]) == (int(count), True), name


def test_an_old_text_that_is_gone_is_refused(tmp_path):
    (tmp_path / "_runtime").mkdir()
    (tmp_path / MUTANTS[0].file).write_text("")
    with pytest.raises(ValueError, match="stands 0 times"):
        MUTANTS[0].apply(tmp_path)
