"""compare.py DIRECTORY: checks that the Parquet tables in DIRECTORY hold, column by column, what the CSV tables beside them say."""

import csv
import datetime
import math
import pathlib
import sys

import pyarrow.parquet


def same(cell, text):
    """Returns whether a cell of Parquet is what the CSV spells as `text`."""
    if cell is None:
        return text == ""
    if isinstance(cell, datetime.datetime):
        return cell == datetime.datetime.fromisoformat(text)
    if isinstance(cell, float):
        # The CSV of jobs and stages rounds to microseconds.
        return math.isnan(cell) and text == "NaN" or cell == float(text) or f"{cell:.6f}" == text
    return str(cell) == text


directory = pathlib.Path(sys.argv[1])
for name in ("jobs", "stages", "samples"):
    table = pyarrow.parquet.read_table(directory / f"{name}.parquet")
    with open(directory / f"{name}.csv", newline="") as file:
        header, *rows = csv.reader(file)
    assert table.column_names == header, (name, table.column_names, header)
    assert table.num_rows == len(rows) > 0, (name, table.num_rows, len(rows))
    for index, column in enumerate(header):
        for number, (cell, row) in enumerate(zip(table.column(column).to_pylist(), rows)):
            assert same(cell, row[index]), (name, column, number, cell, row[index])
    print(name, table.num_rows, *(str(field.type) for field in table.schema))
