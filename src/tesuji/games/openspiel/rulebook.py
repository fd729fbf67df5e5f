"""The rules of well-known games as OpenSpiel plays them, a few sentences each.

`{names}` are the game's options, filled in with what is played.
"""

_CHESS = (
    "Standard rules: castling, en passant, promotion, check and checkmate. Checkmate wins; "
    "stalemate, lack of material, threefold repetition and fifty moves without capture or pawn "
    "move draw. The position is shown in FEN: upper case is White."
)
_GO = (
    "Black moves first. On each turn a player places a stone on an empty point or passes. Stones "
    "and groups without liberties are captured; a position may not be repeated. Two passes in a "
    "row end the game; the larger area (stones and surrounded points) wins, White adding {komi} "
    "points."
)
_PHANTOM = (
    "A player sees only the own marks. Choosing a cell that the opponent holds reveals that mark, "
    "and the player chooses again."
)
_MATRIX = "Both players choose at the same time, once, without seeing the other's choice."
_TTT = "The first with three marks in a row, column or diagonal wins; a full board is a draw."

RULES: dict[str, str] = {
    "2048": (
        "Slide all tiles of a 4x4 board up, right, down or left; two equal tiles that meet merge "
        "into their sum, which is scored. After each move a 2 or a 4 appears on an empty cell. "
        "The game ends when no move changes the board or a tile reaches {max_tile}."
    ),
    "amazons": (
        "Each player has four amazons on a {board_size}x{board_size} board. A turn has three "
        "choices: an amazon, where it moves (like a chess queen), and where it then shoots an "
        "arrow, in the same way; the arrow blocks that square (#) for good. Who cannot move loses."
    ),
    "backgammon": (
        "Two players move 15 checkers each round 24 points by two dice, in opposite directions, "
        "x first. A single checker may be hit and must enter again from the bar; once all own "
        "checkers are home they are borne off. The first to bear off all wins. Doubles are "
        "played twice over."
    ),
    "battleship": (
        "Both players place their ships, hidden from the other, on a {board_height}x{board_width} "
        "board, then shoot in turn, {num_shots} shots each. A ship whose cells are all hit is "
        "sunk. Returns: the value of the ships sunk, minus that of the ships lost times "
        "{loss_multiplier}."
    ),
    "blackjack": (
        "Draw cards (Hit) to come as close to 21 as possible without going over, or Stand. Faces "
        "count 10, an ace 1 or 11. The dealer, one of whose cards is hidden, then draws by fixed "
        "rules. The closer hand wins 1, an equal one 0; over 21 loses 1."
    ),
    "breakthrough": (
        "Pieces move one square straight or diagonally forward and capture diagonally only, on a "
        "board of {rows} rows and {columns} columns. Black (b) moves first, from the top down. "
        "The first to reach the far row, or to capture all, wins."
    ),
    "bridge": (
        "Contract bridge for two partnerships, North-South and East-West: an auction, then 13 "
        "tricks. Each player sees the own hand and the bids. With double-dummy results (the "
        "default) the play is not played out but scored as if all cards were open."
    ),
    "catch": (
        "A ball (o) falls one row a turn. Move the paddle (x) left, right, or stay: catching the "
        "ball returns 1, missing it -1."
    ),
    "checkers": (
        "Men move one square diagonally forward and capture by jumping; captures are compulsory. "
        "A man that reaches the far row becomes a king (8 for o, * for +), which moves and "
        "captures backwards too. o moves first; who cannot move loses. Long play without a "
        "capture is a draw."
    ),
    "chess": _CHESS,
    "chinese_checkers": (
        "Move all your pieces into the opposite corner of the star. A piece steps to a "
        "neighbouring hole or jumps over pieces in a line, several times if it can."
    ),
    "clobber": (
        "The board ({rows} rows, {columns} columns) is full of stones. A move takes one own stone "
        "onto a neighbouring stone of the opponent (not diagonally), which is removed. o moves "
        "first; who cannot move loses."
    ),
    "connect_four": (
        "Players drop marks in turn into one of {columns} columns of {rows} rows, x first; a mark "
        "falls to the lowest free cell. The first with {x_in_row} in a row, horizontally, "
        "vertically or diagonally, wins; a full board is a draw. Columns are numbered from 0."
    ),
    "crazyhouse": _CHESS + " Captured pieces change sides and may be dropped on empty squares.",
    "cursor_go": _GO + " The player moves a cursor over the board and then places the stone.",
    "dark_chess": (
        "Chess where a player sees only the own pieces and the squares they could move to (? is "
        "unseen). There is no check: capturing the king wins."
    ),
    "dark_hex": (
        "Hex on a board of {num_rows} rows and {num_cols} columns: x connects top and bottom, o "
        "connects left and right. " + _PHANTOM
    ),
    "dots_and_boxes": (
        "Players draw a line in turn between neighbouring dots of a board of {num_rows}x{num_cols} "
        "boxes. Who closes a box owns it and moves again. The most boxes win."
    ),
    "gin_rummy": (
        "Draw a card, the upcard or from the stock, and discard one, to form sets of equal rank "
        "and runs in a suit. A player whose unmatched cards (deadwood) count at most the knock "
        "card ({knock_card}) may knock; the lower deadwood scores the difference, with bonuses "
        "for gin ({gin_bonus}) and undercut ({undercut_bonus})."
    ),
    "go": _GO,
    "gomoku": (
        "Black and White place a stone in turn on a board of side {size}; the first with "
        "{connect} in a row wins. A full board is a draw."
    ),
    "goofspiel": (
        "Each player holds the cards 1 to {num_cards}. Each round a point card is shown and all "
        "bid one card at the same time; the highest bid wins the point card, a tie nobody. Bid "
        "cards are gone. The most points win."
    ),
    "hanabi": (
        "A team game: each player sees all hands but the own. On a turn give a hint (costs an "
        "information token), discard (earns one) or play a card. Cards must be played in rising "
        "order in each colour; a wrong one costs a life. All score the number of cards played."
    ),
    "havannah": (
        "Players place a stone in turn on a hexagonal board of side {board_size}. A chain wins "
        "that is a ring, joins two corners (bridge) or three edges (fork)."
    ),
    "hearts": (
        "Four players, 13 cards each, after passing three cards to another seat. Follow suit if "
        "you can; the highest card of the suit led wins the trick. Each heart costs 1, the queen "
        "of spades 13; who takes all 26 gives them to the others "
        "instead. Returns are 26 minus the points taken."
    ),
    "hex": (
        "Players place a stone in turn on a rhombus of {num_rows} rows and {num_cols} columns, x "
        "first. x wins by connecting top and bottom, o by connecting left and right. There are "
        "no draws."
    ),
    "kriegspiel": (
        "Chess where a player sees only the own pieces. Attempted moves are answered by the "
        "umpire: illegal moves, captures and checks are announced, and the player tries again."
    ),
    "kuhn_poker": (
        "Each player is dealt one card, hidden from the others; the lowest card is 0. Everyone "
        "puts 1 chip into the pot. In turn a player passes or bets 1 chip; once someone has bet, "
        "Bet means to call and Pass to fold. The highest card that did not fold wins the pot. "
        "You are shown your card, then the actions so far: p for Pass, b for Bet."
    ),
    "latent_ttt": (
        "Tic-tac-toe where each player's latest mark stays hidden from the other for one turn. "
        + _TTT
    ),
    "leduc_poker": (
        "A deck of two suits, one card each to {players} players, 1 chip in the pot each. Two "
        "betting rounds: Fold, Call (or check) or Raise, at most two raises a round, by 2 chips "
        "in the first and 4 in the second. Before the second a public card is shown. A pair with "
        "it wins, else the highest card. Cards are numbered from 0; two neighbours (0 and 1, 2 "
        "and 3, ...) have the same rank."
    ),
    "lewis_signaling": (
        "The sender sees the state of the world and sends a message; the receiver sees only the "
        "message and chooses an action. Both are paid by how well the action fits the state."
    ),
    "liars_dice": (
        "Each player rolls {numdice} dice of {dice_sides} sides, hidden from the others. In turn "
        "a player raises the bid or says Liar. The bid 2-3 claims that at least two of all dice "
        "show 3; the highest face is wild and counts as any. After Liar the dice are shown: if "
        "the bid holds, the bidder wins, else the caller. You are shown your dice, then the bids."
    ),
    "lines_of_action": (
        "A piece moves in a straight line exactly as many squares as there are pieces on that "
        "line, over own pieces but not over the opponent's; it may capture where it lands. Who "
        "has all own pieces connected wins."
    ),
    "mancala": (
        "Sow the stones of one of your pits, one each, counterclockwise, past the own store but "
        "not the other's. Ending in the own store gives another turn; ending in an empty own pit "
        "captures the pit opposite. When one side is empty the game ends; the most stones win."
    ),
    "matching_pennies_3p": (
        "Three players show heads or tails at the same time. Player 0 wants to match player 1, "
        "player 1 to match player 2, and player 2 to differ from player 0."
    ),
    "mnk": (
        "Players mark a cell in turn on a board of {m} columns and {n} rows, x first; the first "
        "with {k} in a row wins. A full board is a draw."
    ),
    "negotiation": (
        "Two agents divide a pool of {num_items} kinds of items that each values differently and "
        "secretly. In turn each proposes a share for itself and says some symbols; accepting "
        "ends it. Without agreement in time both get nothing."
    ),
    "nim": (
        "Piles of {pile_sizes} objects. In turn a player takes any number of objects from one "
        "pile. If misere is {is_misere}: true means that who takes the last object loses, false "
        "that they win. You are shown who moves and the size of each pile."
    ),
    "nine_mens_morris": (
        "Players place nine men each on the points, then move them along the lines; with three "
        "men left they may fly anywhere. Three own men in a line (a mill) remove one man of the "
        "opponent. Who has two men left, or cannot move, loses."
    ),
    "oh_hell": (
        "A trick-taking game: after the deal each player bids how many tricks to take, exactly. "
        "Follow suit if you can; trumps win. Tricks count {points_per_trick} each, a bid met "
        "exactly adds 10."
    ),
    "oshi_zumo": (
        "Both players bid coins of their {coins} at the same time; the higher bidder pushes the "
        "wrestler one field towards the other's end. Bids are paid. Pushing him off wins."
    ),
    "othello": (
        "Black (x) moves first. A disc must enclose, in a line, discs of the opponent between "
        "itself and another own disc; those are turned over. Who cannot move passes. The most "
        "discs win."
    ),
    "oware": (
        "Sow the seeds of one of your {num_houses_per_player} houses, one each, counterclockwise. "
        "If the last seed makes an opponent's house count 2 or 3, those seeds are captured, and "
        "so backwards. The opponent must be left a move if possible. The most seeds win. You are "
        "shown who moves, the scores, and the seeds of player 0's houses, then of player 1's."
    ),
    "pentago": (
        "Place a stone on a 6x6 board, then turn one of the four quadrants by a quarter. Five in "
        "a row wins."
    ),
    "phantom_go": _GO + " A player sees only the own stones; an illegal attempt is told.",
    "phantom_ttt": "Tic-tac-toe in the dark. " + _PHANTOM + " " + _TTT,
    "pig": (
        "On a turn roll a die of {diceoutcomes} sides as often as you like: each roll adds to the "
        "turn total, but a 1 loses it and ends the turn. Stop to keep the total. The first to "
        "{winscore} wins."
    ),
    "quoridor": (
        "Move your pawn to the other side of a {board_size}x{board_size} board, or place a wall. "
        "A wall may never close the last way."
    ),
    "rbc": (
        "Chess without seeing the opponent's pieces. Before each move a player looks at a "
        "{sense_size}x{sense_size} square of the board (Sense). Capturing the king wins."
    ),
    "shogi": (
        "Japanese chess: captured pieces change sides and may be dropped; pieces promote in the "
        "last three rows. Black moves first; checkmate wins. Shown in SFEN."
    ),
    "tic_tac_toe": "Players mark a cell of a 3x3 board in turn, x first. "
    + _TTT
    + " A cell is written (row,column), both from 0, starting at the top left.",
    "twixt": (
        "Players place pegs in turn; own pegs a knight's move apart are linked unless a link is "
        "in the way. x connects top and bottom, o connects left and right."
    ),
    "ultimate_tic_tac_toe": (
        "Nine tic-tac-toe boards form one large one. The cell you mark says on which board the "
        "opponent must play next; if that is decided, any. Three boards in a row win."
    ),
    "universal_poker": (
        "Poker for {numPlayers} players with {numHoleCards} hidden cards each from a deck of "
        "{numRanks} ranks and {numSuits} suits, {numRounds} betting rounds, stacks {stack}, "
        "blinds {blind}. Fold, call, or bet."
    ),
    "xiangqi": (
        "Chinese chess: capture the enemy general, which may not leave its palace. Cannons "
        "capture by jumping over one piece, horses and elephants can be blocked, and the "
        "elephants do not cross the river. Upper case moves first."
    ),
    "y": (
        "Players place a stone in turn on a triangular board of side {board_size}. The first "
        "chain that touches all three sides wins. There are no draws."
    ),
    "yacht": (
        "Roll {num_dice} dice up to {rolls_per_turn} times a turn, keeping what you like, then "
        "score one open category. The highest total wins."
    ),
}

for _name in (
    "matrix_bos",
    "matrix_brps",
    "matrix_cd",
    "matrix_coordination",
    "matrix_mp",
    "matrix_pd",
    "matrix_rps",
    "matrix_rpsw",
    "matrix_sh",
    "matrix_shapleys_game",
):
    RULES[_name] = _MATRIX
RULES["dark_hex_ir"] = RULES["dark_hex"]
RULES["phantom_ttt_ir"] = RULES["phantom_ttt"]
RULES["liars_dice_ir"] = RULES["liars_dice"]
