"""Positions that are the same board turned or mirrored.

Used to keep such twins on one side of a split. A board has at most these symmetries; grouping
more than a game really has (connect four cannot be turned upside down) is harmless for a split:
it only ties together positions that might have been kept apart.
"""

Grid = tuple[str, ...]


def symmetry_class(seat: int, observation: str) -> str:
    """A name shared by all images of a board; the observation itself where it is no grid.

    8 images of a square board, 4 of another rectangle; the side to move belongs to the name.
    """
    grid = _grid(observation)
    if grid is None:
        return f"{seat}|{observation}"
    return f"{seat}|" + "\n".join(min(_images(grid)))


def _grid(observation: str) -> Grid | None:
    """The lines of a text that is a rectangle of at least 2 by 2 single characters."""
    lines = tuple(line for line in observation.strip("\n").splitlines())
    square = len(lines) > 1 and len(lines[0]) > 1 and len({len(line) for line in lines}) == 1
    return lines if square and not any(" " in line for line in lines) else None


def _images(grid: Grid) -> list[Grid]:
    flipped = [_upside_down(grid), _mirrored(grid), _mirrored(_upside_down(grid))]
    images = [grid, *flipped]
    if len(grid) == len(grid[0]):
        images += [_transposed(image) for image in images]
    return images


def _upside_down(grid: Grid) -> Grid:
    return grid[::-1]


def _mirrored(grid: Grid) -> Grid:
    return tuple(line[::-1] for line in grid)


def _transposed(grid: Grid) -> Grid:
    return tuple("".join(column) for column in zip(*grid, strict=True))
