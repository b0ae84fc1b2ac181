"""The log example accounts for every line, of its own sample and of a file."""

from __future__ import annotations

LINES = (
    '::1 - frank [10/Oct/2000:13:55:36 -0700] "GET / HTTP/1.0" 200 2326',
    '::1 - - [10/Oct/2000:13:55:36 -0700] "GET /"quote" HTTP/1.0" 200 1',
    '::1 - - [10/Oct/2000:13:55:37 -0700] "GET /\\"quote\\" HTTP/1.0" 200 4 "-" "a \\"b\\""',
    '::1 - - [10/Oct/2000:13:55:38 -0700] "-" 408 -',
    "",
)


def test_its_own_sample_is_counted(run_example):
    assert run_example("02_log_split.py").splitlines() == [
        "200: 2 lines, 2838 bytes",
        "404: 1 lines, 0 bytes",
        "not understood: 'not a log line at all': 1 lines, 0 bytes",
    ]


def test_every_line_of_a_file_is_accounted_for(run_example, tmp_path):
    path = tmp_path / "access.log"
    path.write_bytes("\n".join(LINES).encode() + b"\n\xff\xfe\n")
    counted = dict(each.rsplit(": ", 1) for each in run_example("02_log_split.py", path).splitlines())
    assert counted.pop("200") == "2 lines, 2330 bytes"
    assert counted.pop("408") == "1 lines, 0 bytes"
    assert all(each.startswith("not understood") for each in counted)
    assert sum(int(each.split()[0]) for each in counted.values()) == 3
