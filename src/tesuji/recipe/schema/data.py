"""The stages that make data: from positions of a game, or from other people's logs."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, field_validator, model_validator

from tesuji.recipe.schema.endpoint import EndpointSection
from tesuji.recipe.schema.sections import Different, PlayerSection, Section, Text, of_ray

Share = Annotated[float, Field(ge=0.0, lt=1.0)]


class DataStage(Section):
    """Positions of the game, labelled by a player that knows better: rows for SFT."""

    kind: Literal["data"] = "data"
    """May be left out where the stage is called so."""
    positions: Literal["all", "on_path", "sampled"] = "all"
    """`all` reachable positions (small games), those `sampled` from play, or only those `on_path`:
    the ones in which a player can find itself that plays the taught moves, the others anything."""
    num_positions: int = Field(2000, ge=1, le=10_000_000)
    """How many distinct positions to keep when `sampled`."""
    sampled_by: list[PlayerSection] = [PlayerSection(player="random")]
    """Who plays the matches from which positions are sampled; seats are dealt among them."""
    oracle: PlayerSection = PlayerSection(player="minimax")
    """Who labels the positions."""
    moves: Literal["all", "one"] = "all"
    """Teach all equally good moves of a position, or one of them."""
    thoughts: Literal["none", "template", "llm"] = "none"
    """Words in front of the move: none, true sentences derived from the position, or an LLM's."""
    endpoint: EndpointSection = EndpointSection()
    """Who writes the thoughts when `thoughts: llm`."""
    pairs: Literal["none", "one", "all"] = "none"
    """Preference pairs of a best move over one that loses value, after the same thoughts: `one` a
    position, or one for `all` such moves."""
    held_out: Share = 0.1
    """Share of the symmetry classes that `held_out_from` allows, kept out of training."""
    held_out_from: Literal["all", "off_path"] = "all"
    """Where held-out positions are drawn from. `off_path`: only positions that the side to move
    could not have reached by playing the oracle's moves alone; always so with `on_path`."""

    @field_validator("sampled_by", mode="before")
    @classmethod
    def _one_player(cls, value: Any) -> Any:
        return value if isinstance(value, list) else [value]

    @model_validator(mode="after")
    def _off_path_needs_all(self) -> "DataStage":
        if self.held_out_from == "off_path" and self.positions == "sampled":
            raise ValueError("held_out_from: off_path needs positions: all or on_path")
        if not self.sampled_by:
            raise ValueError("sampled_by needs at least one player")
        return self


class SelectSection(Section):
    """Which turns of the logs become rows. Every rule reports how many it dropped."""

    seats: Literal["winners", "all"] = "winners"
    """Learn from those whose side won by play, or from everyone. A game that ended by an illegal
    reply was won by nobody's play."""
    legal: bool = True
    """Drop replies that were no legal move."""
    spoken: bool = False
    """Of the discussion, drop replies that are nothing but a bracket or a number (`[3]`): a vote
    where something should be said. How many there are is counted either way."""
    decisive_votes: bool = False
    """Of the votes, keep those that hit the player who was then eliminated."""
    phases: Annotated[list[Text], Different] = []
    """Keep these phases only; empty: all."""
    quality: bool = False
    """Keep longer replies only if they pass a rule about their form: `min_characters`,
    `min_indicators` words of strategy, `min_score`. Night actions and votes are judged by what
    they did, never by this."""
    min_characters: int = Field(50, ge=0, le=1_000_000)
    """Shortest reply that `quality` keeps."""
    min_indicators: int = Field(2, ge=0, le=1_000)
    """Different strategic words (suspect, evidence, alliance, ...) that `quality` asks for."""
    min_score: float = Field(0.0, ge=0.0, le=1.0)
    """Lowest score that `quality` keeps."""
    deduplicate: bool = True
    """Keep one of several rows with the same prompt and reply."""
    balance: Annotated[list[Literal["role", "outcome", "phase"]], Different] = []
    """Make the classes of each of these equally frequent, by leaving out rows of the larger."""
    max_rows_per_game: int | None = Field(None, ge=1, le=1_000_000_000)
    """Most rows of one match."""
    max_rows: int | None = Field(None, ge=1, le=1_000_000_000)
    """Most rows in all."""


class PairsSection(Section):
    """How preference pairs are found in the logs."""

    by: Annotated[
        list[Literal["outcome", "legality", "oracle", "judge"]], Field(min_length=1), Different
    ] = ["outcome", "legality"]
    """Who prefers: the `outcome` (a winner's reply over a loser's), the referee (a legal over an
    illegal one, `legality`), an `oracle` (a solver's decision over the other legal ones, in logs
    that hold such), a `judge` model. Pairs that stand in the logs as such are always taken."""
    near: Literal["prompt", "position", "phase"] = "phase"
    """What the two replies must at least share: the very same `prompt`, the same `position` (all
    that counts in the situation), or game, role, `phase` and a like number of turns. The nearest
    there is is taken, and written beside the pair."""
    max_pairs: int | None = Field(None, ge=1, le=1_000_000_000)
    """Most pairs in all."""
    judge: EndpointSection = EndpointSection()
    """The endpoint that compares, with `by: [judge]`."""


class MadeLogs(Section):
    """Games played here, where there are no logs at hand."""

    kind: Literal["mafia", "poker"]
    """`mafia`: SecretMafia on TextArena; `poker`: no-limit hold'em on pokerkit."""
    games: int = Field(100, ge=1, le=1_000_000)
    """How many."""
    traps: bool = False
    """Plant the faults of real logs in known numbers."""


class LogsStage(Section):
    """Other people's game logs: read, selected, and made into rows and pairs."""

    kind: Literal["logs"] = "logs"
    """May be left out where the stage is called so."""
    paths: Annotated[list[Text], Different] = []
    """Files and folders to read."""
    make: MadeLogs | None = None
    """Play games and read their logs. Not done where `paths` are named."""
    format: Text = "auto"
    """Whose logs they are, as `tesuji data import --help` lists them; `auto`: found out, file by
    file."""
    include: Annotated[list[Literal["no_actions", "error", "timeout"]], Different] = []
    """Games left out unless named here: without any action, ended by an error, by a timeout."""
    select: SelectSection = SelectSection()
    """Which turns become rows."""
    pairs: PairsSection | None = PairsSection()
    """How pairs are made; none: no pairs."""
    held_out: Share = 0.1
    """Share of the matches kept out of training, with all their rows."""
    compliance: Literal["standard", "strict"] = "standard"
    """`strict`: rules about legality and outcome only, no heuristics, for competitions that ask
    for it. Either way METHODOLOGY.md says what was done."""
    processes: int | None = Field(None, ge=1, le=1_024)
    """Processes, or actors of Ray, that read files; default: one a core."""
    engine: Literal["here", "ray", "modal"] = "here"
    """Who reads the files: processes of this machine, or actors of Ray on its cores or those of
    other machines, which see logs and run folder under the same paths (needs `tesuji[ray]`).
    `modal`: containers beside that of a job there; `tesuji launch --only preprocess` sets it."""
    address: Annotated[Text, AfterValidator(of_ray)] = "local"
    """Of Ray, as in `rollouts`: `local`, `ray://HOST:10001`, `HOST:6379` or `auto`."""

    @model_validator(mode="after")
    def _of_ray(self) -> "LogsStage":
        self.needs({"address": (self.engine == "ray", "is of Ray: add engine: ray")})
        return self

    @field_validator("paths", mode="before")
    @classmethod
    def _one_path(cls, value: Any) -> Any:
        return [value] if isinstance(value, str) else value

    @model_validator(mode="after")
    def _something_to_read(self) -> "LogsStage":
        if not self.paths and self.make is None:
            raise ValueError("name the files in `paths:`, or have games played with `make:`")
        return self

    @property
    def played(self) -> MadeLogs | None:
        """The games to play here: none where files are named."""
        return None if self.paths else self.make

    @model_validator(mode="after")
    def _strict_has_no_heuristics(self) -> "LogsStage":
        judged = self.pairs is not None and "judge" in self.pairs.by
        if self.compliance == "strict" and (self.select.quality or judged):
            what = "select.quality" if self.select.quality else "a judge"
            raise ValueError(f"compliance: strict allows no heuristics, and {what} is one")
        return self
