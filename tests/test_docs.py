"""All code that the README, the documents and the docstrings show runs as it stands."""

from __future__ import annotations

import doctest
import importlib
import re
import sys
import types

import pytest

from tests.code_blocks import code_blocks
from tests.source import ROOT, module_name, modules

DOCUMENTS = [
    path
    for path in (ROOT / "README.md", ROOT / "ARCHITECTURE.md", *sorted((ROOT / "docs").rglob("*.md")))
    if path.exists()
]
BLOCKS = [
    pytest.param(block, id=f"{block.path.relative_to(ROOT)}:{block.line}")
    for path in DOCUMENTS
    for block in code_blocks(path)
]
NEEDS = {
    "asyncdataflow.interop.aiostream": "aiostream",
    "asyncdataflow.observe.opentelemetry": "opentelemetry.sdk",
}


def skip_without(*names):
    for name in names:
        pytest.importorskip(name)


@pytest.mark.parametrize("block", BLOCKS)
def test_a_block_of_a_document_runs(block, tmp_path, monkeypatch):
    if block.reason is not None:
        pytest.skip(block.reason)
    skip_without(*(["aiostream"] if re.search(r"^\s*(from|import) aiostream", block.code, re.M) else []))
    monkeypatch.chdir(tmp_path)
    # A module that can be found again: `@stage` pickles by name, resources are looked up there.
    module = types.ModuleType("shown_in_a_document")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    for each in block.story():
        exec(each.compiled(), vars(module))


def examples_of(path):
    name = module_name(path)
    skip_without(*([NEEDS[name]] if name in NEEDS else []))
    finder = doctest.DocTestFinder(exclude_empty=True)
    return [each for each in finder.find(importlib.import_module(name), name) if each.examples]


@pytest.mark.parametrize(
    "path",
    [
        pytest.param(path, id=module_name(path))
        for path in modules()
        if path.stem != "__main__" and ">>> " in path.read_text(encoding="utf-8")
    ],
)
def test_the_examples_of_a_module_s_docstrings_hold(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    told = []
    for each in examples_of(path):
        runner = doctest.DocTestRunner(verbose=False, optionflags=doctest.ELLIPSIS)
        runner.run(each, out=told.append)
    assert not told, "".join(told)


def test_the_readme_has_code_that_runs():
    """The wheel is tried with its first block, so there has to be one."""
    blocks = code_blocks(ROOT / "README.md")
    assert blocks
    assert blocks[0].reason is None


DOCUMENT = """\
# Title

```python
first = 1
```

<!-- not run: needs a broker -->

```python
second = 2
```

```text
not python
```

1. in a list

   ```python
   third = 3
   if third:
       fourth = 4
   ```

<!-- goes on -->

```python
fifth = third + 2
```
"""


def test_blocks_are_found_with_their_lines_and_reasons(tmp_path):
    path = tmp_path / "document.md"
    path.write_text(DOCUMENT)
    found = [(each.line, each.code, each.reason) for each in code_blocks(path)]
    assert found == [
        (3, "first = 1", None),
        (9, "second = 2", "needs a broker"),
        (19, "third = 3\nif third:\n    fourth = 4", None),
        (27, "fifth = third + 2", None),
    ]


def test_a_block_that_goes_on_is_run_behind_the_one_before(tmp_path):
    path = tmp_path / "document.md"
    path.write_text(DOCUMENT)
    *_, third, fifth = code_blocks(path)
    assert third.story() == [third]
    assert fifth.story() == [third, fifth]


def test_an_error_is_told_on_its_line_of_the_document(tmp_path):
    path = tmp_path / "document.md"
    path.write_text("one\n\n```python\nfine = 1\nraise LookupError\n```\n")
    (block,) = code_blocks(path)
    with pytest.raises(LookupError) as caught:
        exec(block.compiled(), {})
    assert caught.traceback[-1].frame.code.path == path
    assert caught.traceback[-1].lineno + 1 == 5


def test_a_block_that_is_never_closed_is_refused(tmp_path):
    path = tmp_path / "document.md"
    path.write_text("```python\nfirst = 1\n")
    with pytest.raises(ValueError, match="line 1"):
        code_blocks(path)
