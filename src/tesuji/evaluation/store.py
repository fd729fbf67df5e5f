"""An evaluation as one JSON file, and back."""

from pathlib import Path

from tesuji.core.files import read_json, write_json
from tesuji.core.json_dataclass import Codec
from tesuji.evaluation.results import EVALUATION_FORMAT, Evaluation

_codec = Codec(Evaluation, "an evaluation", EVALUATION_FORMAT)


def save_evaluation(path: Path, evaluation: Evaluation) -> None:
    """Write the evaluation, atomically. Raises DataError when it cannot be written."""
    write_json(path, _codec.dump(evaluation))


def load_evaluation(path: Path) -> Evaluation:
    """Read one evaluation; DataError names the file and the field that is wrong."""
    return _codec.load(read_json(path), where=str(path))
