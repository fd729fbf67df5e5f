"""Train language models to play games from one recipe file, and say honestly how well they play.

    import tesuji

    outcome = tesuji.run("tictactoe/tiny")
    model = tesuji.load_run(outcome.folder).player(temperature=0)
    episodes = tesuji.play_matches(tesuji.load_game("tic_tac_toe"), [model, "minimax"], episodes=10)

The functions are those of `tesuji.api`, each loaded when it is first asked for.
"""

TYPE_CHECKING = False  # type checkers take it for true; importing `typing` would cost its time
if TYPE_CHECKING:
    from tesuji.api import load_game, load_recipe, load_run, make_player, play_matches, run

__all__ = ["load_game", "load_recipe", "load_run", "make_player", "play_matches", "run"]


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module 'tesuji' has no attribute {name!r}")
    from tesuji import api

    return getattr(api, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
