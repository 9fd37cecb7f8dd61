"""``one_of.py NAME VALUE CHOICE...``: refuse a value of a make variable that is not one of the choices (empty: not given)."""

import difflib
import sys

EXIT_CONFIGURATION = 78


def main(name: str, value: str, *choices: str) -> int:
    if not value or value in choices:
        return 0
    near = difflib.get_close_matches(value.lower(), choices, n=1)
    hint = f"; is {name}={near[0]} meant?" if near else ""
    sys.stderr.write(f"make: {name}={value} is not one of {', '.join(choices)}{hint}\n")
    return EXIT_CONFIGURATION


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
