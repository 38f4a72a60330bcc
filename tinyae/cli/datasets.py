"""`tinyae datasets`: what there is, and where it was found."""

import tinyae as ta


def add_datasets(commands):
    """The arguments of `tinyae datasets`."""
    add = commands.add_parser("datasets", help="the data sets, and whether they are there", epilog="example: tinyae datasets")
    add.set_defaults(run=datasets)


def datasets(arguments, command):
    """`tinyae datasets`: a table; then, of the sets that are files, the folder in use, or where one is looked for."""
    table = ta.data.table()
    rows = [("name", "train", "test", "shape", "there", "licence", "source")]
    for row in table:
        shape = "x".join(map(str, row.image_shape))
        rows.append((row.name, f"{row.train:,}", f"{row.test:,}", shape, "yes" if row.present else "no", row.licence, row.source))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    for row in table:
        if row.found:
            print(f"\n{row.name} is read from {row.found}")
        elif row.places:
            how = "not there, and downloaded at its first use" if row.downloaded else "not there, and not for tinyae to download"
            print(f"\n{row.name} is {how}; it is looked for in", *row.places, sep="\n  ")
    print("\nA folder of your own images: tinyae train vae --data DIR")
