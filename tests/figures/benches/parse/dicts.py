"""What both programs do with an element."""

from lxml import etree


def to_dict(element):
    if len(element) == 0:
        return element.text
    found = {}
    for child in element:
        found.setdefault(etree.QName(child).localname, []).append(to_dict(child))
    return found
