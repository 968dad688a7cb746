"""Compile schema/tflite.fbs into tflite_surgeon/flatbuffer/_schema.py.

    python schema/compile.py            write the table
    python schema/compile.py --check    exit 1 if the table is not what the schema says

Understands the part of the FlatBuffers schema language that the TFLite format uses: enums, unions of tables,
tables, scalars, strings, vectors of these, defaults and attributes. No structs, no nesting of vectors.
"""

from __future__ import annotations

import pprint
import re
import sys
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).resolve().parent
SOURCE = HERE / "tflite.fbs"
TARGET = HERE.parent / "tflite_surgeon" / "flatbuffer" / "_schema.py"

# The struct format character of each scalar type of the schema language.
SCALARS = {
    "bool": "?",
    "byte": "b",
    "int8": "b",
    "ubyte": "B",
    "uint8": "B",
    "short": "h",
    "int16": "h",
    "ushort": "H",
    "uint16": "H",
    "int": "i",
    "int32": "i",
    "uint": "I",
    "uint32": "I",
    "long": "q",
    "int64": "q",
    "ulong": "Q",
    "uint64": "Q",
    "float": "f",
    "double": "d",
}

TOKEN = re.compile(r'"[^"]*"|[\w.+-]+|[{}()\[\]:;,=]')


@dataclass
class Schema:
    file_identifier: str = ""
    root: str = ""
    enums: dict[str, tuple[str, dict[str, int]]] = field(default_factory=dict)
    unions: dict[str, dict[str, int]] = field(default_factory=dict)
    tables: dict[str, list[tuple[object, ...]]] = field(default_factory=dict)


class Parser:
    """A recursive-descent reader of the schema text."""

    def __init__(self, text: str) -> None:
        self.tokens = TOKEN.findall(re.sub(r"//[^\n]*", "", text))
        self.at = 0
        self.schema = Schema()
        self.raw_tables: dict[str, list[tuple[str, str, str | None, dict[str, str]]]] = {}

    def next(self, expected: str | None = None) -> str:
        if self.at >= len(self.tokens):
            raise SystemExit(f"{SOURCE.name}: the text ends where {expected or 'more'} was expected")
        token = self.tokens[self.at]
        if expected is not None and token != expected:
            before = " ".join(self.tokens[max(0, self.at - 6) : self.at])
            raise SystemExit(f"{SOURCE.name}: after {before!r}: found {token!r}, expected {expected!r}")
        self.at += 1
        return token

    def peek(self) -> str:
        return self.tokens[self.at]

    def parse(self) -> Schema:
        while self.at < len(self.tokens):
            keyword = self.next()
            if keyword == "file_identifier":
                self.schema.file_identifier = self.next().strip('"')
                self.next(";")
            elif keyword in ("file_extension", "attribute"):
                self.next()
                self.next(";")
            elif keyword == "root_type":
                self.schema.root = self.next()
                self.next(";")
            elif keyword == "enum":
                name = self.next()
                self.next(":")
                base = SCALARS[self.next()]
                self.schema.enums[name] = (base, self.members(0))
            elif keyword == "union":
                name = self.next()
                self.schema.unions[name] = self.members(1)
            elif keyword == "table":
                self.table()
            else:
                raise SystemExit(f"{SOURCE.name}: unexpected {keyword!r}")
        for name, fields in self.raw_tables.items():
            self.schema.tables[name] = self.resolve(name, fields)
        self.refuse_recursion()
        return self.schema

    def members(self, first: int) -> dict[str, int]:
        result: dict[str, int] = {}
        value = first
        self.next("{")
        while self.peek() != "}":
            name = self.next()
            if self.peek() == "=":
                self.next()
                value = int(self.next())
            result[name] = value
            value += 1
            if self.peek() == ",":
                self.next()
        self.next("}")
        return result

    def table(self) -> None:
        name = self.next()
        fields = []
        self.next("{")
        while self.peek() != "}":
            field_name = self.next()
            self.next(":")
            if self.peek() == "[":
                self.next()
                type_name = f"[{self.next()}]"
                self.next("]")
            else:
                type_name = self.next()
            default = None
            if self.peek() == "=":
                self.next()
                default = self.next()
            attributes: dict[str, str] = {}
            if self.peek() == "(":
                self.next()
                while self.peek() != ")":
                    key = self.next()
                    attributes[key] = ""
                    if self.peek() == ":":
                        self.next()
                        attributes[key] = self.next().strip('"')
                    if self.peek() == ",":
                        self.next()
                self.next(")")
            self.next(";")
            fields.append((field_name, type_name, default, attributes))
        self.next("}")
        self.raw_tables[name] = fields

    def resolve(
        self, table: str, fields: list[tuple[str, str, str | None, dict[str, str]]]
    ) -> list[tuple[object, ...]]:
        """The rows (slot, name, attribute, kind, type, default, alignment, refers_to) of one table.

        A union takes two slots, its tag first; the row holds the slot of the value.
        """
        rows: list[tuple[object, ...]] = []
        slot = 0
        for name, type_name, default, attributes in fields:
            element = type_name.strip("[]")
            is_vector = type_name.startswith("[")
            value: object = None
            alignment = int(attributes.get("force_align", "0"))
            if element in self.schema.unions:
                slot += 1
                kind, type_ = "union", element
            elif element == "string":
                kind, type_ = ("strings" if is_vector else "string"), ""
            elif element in self.raw_tables:
                kind, type_ = ("tables" if is_vector else "table"), element
            elif element in SCALARS or element in self.schema.enums:
                type_ = SCALARS.get(element, element)
                if is_vector:
                    kind = "data" if alignment >= 16 else "bytes" if type_ == "B" else "numbers"
                else:
                    kind = "scalar"
                    value = self.default(element, default)
            else:
                raise SystemExit(f"{SOURCE.name}: {table}.{name}: unknown type {type_name!r}")
            rows.append(
                (slot, name, attributes.get("as", name), kind, type_, value, alignment, attributes.get("refers_to"))
            )
            slot += 1
        return rows

    def default(self, type_name: str, text: str | None) -> object:
        if type_name in self.schema.enums:
            return self.schema.enums[type_name][1][text] if text else 0
        if type_name == "bool":
            return text == "true"
        if SCALARS[type_name] in "fd":
            return float(text or 0)
        return int(text or 0)

    def refuse_recursion(self) -> None:
        """The reader recurses from table to table without a depth limit: the schema must bound it."""
        children = {
            name: {
                member
                for row in rows
                for member in (
                    [row[4]]
                    if row[3] in ("table", "tables")
                    else self.schema.unions[str(row[4])]
                    if row[3] == "union"
                    else []
                )
            }
            for name, rows in self.schema.tables.items()
        }

        def visit(name: str, above: tuple[str, ...]) -> None:
            if name in above:
                raise SystemExit(f"{SOURCE.name}: {' > '.join((*above, name))} is recursive")
            for child in sorted(map(str, children[name])):
                visit(child, (*above, name))

        visit(self.schema.root, ())


def render(schema: Schema) -> str:
    """The text of _schema.py."""

    def literal(value: object) -> str:
        return pprint.pformat(value, width=110, sort_dicts=False)

    tables = "\n".join(
        f"    {name!r}: (\n" + "".join(f"        {row!r},\n" for row in rows) + "    ),"
        if rows
        else f"    {name!r}: (),"
        for name, rows in schema.tables.items()
    )
    row = "tuple[int, str, str, str, str, bool | int | float | None, int, str | None]"
    return f'''"""Generated by schema/compile.py from schema/tflite.fbs: do not edit, edit that and run it again."""

FILE_IDENTIFIER = {schema.file_identifier.encode()!r}
ROOT = {schema.root!r}

# Name: (struct format of the stored integer, members)
ENUMS: dict[str, tuple[str, dict[str, int]]] = {literal(schema.enums)}

# Name: {{member table: tag}}; tag 0 is NONE
UNIONS: dict[str, dict[str, int]] = {literal(schema.unions)}

# Name: rows of (slot, name, attribute, kind, type, default, alignment, refers_to)
TABLES: dict[str, tuple[{row}, ...]] = {{
{tables}
}}
'''


def main() -> int:
    text = render(Parser(SOURCE.read_text()).parse())
    if "--check" in sys.argv[1:]:
        if TARGET.read_text() != text:
            print(f"{TARGET} is not what {SOURCE.name} says: run python schema/compile.py")
            return 1
        return 0
    TARGET.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
