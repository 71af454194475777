"""Reads documents, one a line of a file, as a user would: with lxml, to dictionaries. Prints the median of seconds."""

import statistics
import sys
import time

from dicts import to_dict
from lxml import etree

with open(sys.argv[1], "rb") as file:
    documents = file.read().split(b"\n")
took = []
for _ in range(5):
    began = time.perf_counter()
    for document in documents:
        to_dict(etree.fromstring(document))
    took.append(time.perf_counter() - began)
print(statistics.median(took))
