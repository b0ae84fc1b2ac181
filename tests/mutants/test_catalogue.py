"""The catalogue fits the package as it is; ``make mutants`` runs it."""

from __future__ import annotations

import pytest

from tests.mutants.catalogue import MUTANTS
from tests.source import PACKAGE


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda each: each.name)
def test_a_mutant_can_be_made(mutant):
    mistaken = mutant.text(PACKAGE)
    compile(mistaken, mutant.file, "exec")
    assert mistaken != (PACKAGE / mutant.file).read_text(encoding="utf-8")


def test_each_mutant_is_another():
    assert len({each.name for each in MUTANTS}) == len(MUTANTS)
    assert len({(each.file, each.old, each.new) for each in MUTANTS}) == len(MUTANTS)


def test_an_old_text_that_is_gone_is_refused(tmp_path):
    (tmp_path / "_runtime").mkdir()
    (tmp_path / MUTANTS[0].file).write_text("")
    with pytest.raises(ValueError, match="stands 0 times"):
        MUTANTS[0].apply(tmp_path)
