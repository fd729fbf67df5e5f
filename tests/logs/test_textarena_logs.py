"""Real games of TextArena against what is read from their observations and from their logs."""

import json
import random
from typing import Any

import pytest

from tesuji.core.types import Ending
from tesuji.episodes.transcript import seen
from tesuji.games.textarena import secretmafia
from tesuji.logs.base import Record
from tesuji.logs.formats.textarena import TextArena

PHASES = {
    "Night-Mafia": "night_mafia",
    "Night-Doctor": "night_doctor",
    "Night-Detective": "night_detective",
    "Day-Discussion": "discussion",
    "Day-Voting": "voting",
}
SPEECHES = (
    "I think [Player 3] is it.\n[GAME] Voting phase - submit one vote. Valid: [0], [1]",
    "Night has fallen. Mafia, agree on [1]",
    "x\n[Player 2] Day breaks.",
    "ok",
)


def played(seed: int, players: int) -> tuple[Any, list[tuple[int, str, str, str]], dict[str, Any]]:
    """(environment, (seat, phase, observation, reply) of each turn, its log) of a random game."""
    import textarena

    wrapped = textarena.make("SecretMafia-v0")
    wrapped.reset(num_players=players, seed=seed)
    rng, turns, done = random.Random(seed), [], False
    env = wrapped  # its attributes are those of the environment inside
    while not done:
        seat, shown = wrapped.get_observation()
        phase = PHASES[env.phase.value]
        alive = env.state.game_state["alive_players"]
        reply = rng.choice(SPEECHES) if phase == "discussion" else f"[{rng.choice(alive)}]"
        turns.append((seat, phase, shown, reply))
        done, _ = wrapped.step(reply)
    rewards, info = wrapped.close()
    log = {"env_id": "SecretMafia-v0", "logs": env.state.logs}
    return env, turns, json.loads(json.dumps({**log, "rewards": rewards, "game_info": info}))


@pytest.mark.parametrize("players", [6, 9, 15])
def test_what_players_were_shown_tells_phase_role_seat_and_targets(players: int) -> None:
    env, turns, _ = played(players, players)
    for seat, phase, shown, _ in turns:
        message = secretmafia.last_message(shown)
        assert secretmafia.phase_of(message) == phase
        assert bool(secretmafia.targets(message)) == (phase in secretmafia.NAMED)
        assert secretmafia.seat_in(shown) == seat
        assert secretmafia.role_in(shown) == env.player_roles[seat]
        assert secretmafia.seats_in(shown) == players


@pytest.mark.parametrize("seed", range(6))
def test_a_log_gives_back_what_each_player_saw_and_no_secret(seed: int) -> None:
    env, turns, log = played(seed, 6 + seed)
    episode = TextArena().read(Record(log, "log.json"))
    logged = [turn for turn in turns if turn[1] != "night_detective"]  # TextArena logs none of it
    assert len(episode.turns) == len(logged)
    for place, (seat, phase, shown, reply) in enumerate(logged):
        turn = episode.turns[place]
        assert (turn.seat, turn.phase, turn.role) == (seat, phase, env.player_roles[seat])
        assert seen(episode, place).split() == shown.split()
        if phase in secretmafia.NAMED:
            assert turn.attempts[0].reply == reply
    assert "notes" not in episode.provenance
    assert episode.provenance["winners"] == [s for s, paid in env.state.rewards.items() if paid > 0]


def test_of_other_games_the_prompts_and_the_faults_are_private() -> None:
    said = [[-1, "You hold A."], [-1, "You hold K."], [0, "bet"], [1, "?"]]
    fault = [-1, "Player 1 attempted an invalid move. Reason: ?"]
    end = {"role": "Player 0", "reason": "Player 1 made an invalid move."}
    log = {"env_id": "Kuhn", "logs": [*said, fault, [0, "so"]], "rewards": [1, -1]}
    episode = TextArena().read(Record({**log, "game_info": {"0": end}}, "log.json"))
    assert seen(episode, 0) == "[GAME] You hold A.\n"
    assert seen(episode, 1) == "[GAME] You hold K.\n[Player 0] bet\n"
    assert "invalid" not in seen(episode, 2) and episode.turns[2].role == ""
    assert episode.ending is Ending.FORFEIT and episode.provenance["notes"] == ["audience_unknown"]
