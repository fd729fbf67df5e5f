import time

import pytest

from tesuji.core.redact import MARK, looks_secret, redact, redact_all, safe_all

LETTERS = "AbCdEfGhIjKlMnOpQrStUvWx"


@pytest.mark.parametrize(
    "token",
    [
        f"hf_{LETTERS}",
        f"sk-{LETTERS}",
        f"sk-proj-{LETTERS}_{LETTERS}",
        f"rpa_{LETTERS}",
        f"ak-{LETTERS}",
        f"ghp_{LETTERS}",
        f"github_pat_{LETTERS}",
        f"glpat-{LETTERS}",
        f"xoxb-{LETTERS}",
        f"npm_{LETTERS}{LETTERS}",
        f"AIza{LETTERS}{LETTERS[:11]}",
        "AKIAABCDEFGHIJKLMNOP",
        f"eyJ{LETTERS}.{LETTERS}.{LETTERS}",
    ],
)
def test_what_looks_like_a_token_is_replaced(token: str) -> None:
    assert redact(f'key="{token}", then') == f'key="{MARK}", then'


def test_bearer_headers_and_passwords_in_urls_are_replaced() -> None:
    assert redact("Authorization: Bearer abcdef123456") == f"Authorization: Bearer {MARK}"
    assert redact("http://me:hunter22@host/v1") == f"http://me:{MARK}@host/v1"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("http://t0k3n@host/v1", f"http://{MARK}@host/v1"),
        ("http://me:p@ss@host/v1", f"http://me:{MARK}@host/v1"),
        ("https://h/v1?api_key=abc&n=1", f"https://h/v1?api_key={MARK}&n=1"),
        ("https://h/v1?n=1&X-Amz-Signature=abc", f"https://h/v1?n=1&X-Amz-Signature={MARK}"),
        ("https://h/#access_token=abc, then", f"https://h/#access_token={MARK} then"),
        ("x-api-key: abcdef123456", f"x-api-key: {MARK}"),
        ("Authorization: Basic bWU6aHVudGVy", f"Authorization: Basic {MARK}"),
    ],
)
def test_urls_and_headers_lose_names_passwords_and_keys(text: str, shown: str) -> None:
    assert redact(text) == shown
    assert looks_secret(text)


@pytest.mark.parametrize("name", ["OPENAIKEY", "MYTOKEN", "apikey2", "DBPASSWORD"])
def test_a_variable_without_an_underscore_counts_where_its_value_looks_like_a_key(
    monkeypatch, name: str
) -> None:
    monkeypatch.setenv(name, "9f86d081884c7d65")
    assert redact("key 9f86d081884c7d65!") == f"key {MARK}!"
    monkeypatch.setenv(name, "an ordinary word")
    assert redact("an ordinary word") == "an ordinary word"


def test_hostile_text_takes_time_in_proportion_to_its_length() -> None:
    def seconds(size: int) -> float:
        began = time.process_time()
        for piece in ("eyJ-", "?key", "://a", "://:", "&token", "bearer ", "authorization:", "sk-"):
            redact(piece * (size // len(piece)))
        return time.process_time() - began

    assert seconds(800_000) < 10 * max(seconds(200_000), 0.05)


def test_pages_and_terminals_get_neither_secrets_nor_control_characters() -> None:
    assert safe_all({"a": ["\x1b[31mred\n", "\u202eabc", f"hf_{LETTERS}"]}) == {
        "a": ["\\x1b[31mred\n", "\\u202eabc", MARK]
    }


@pytest.mark.parametrize("name", ["HF_TOKEN", "WANDB_API_KEY", "MODAL_TOKEN_SECRET", "password"])
def test_the_value_of_a_secret_variable_is_replaced(monkeypatch, name: str) -> None:
    monkeypatch.setenv(name, "correct horse & <battery>")
    assert redact("it was correct horse & <battery>!") == f"it was {MARK}!"


def test_a_value_that_contains_another_goes_as_a_whole(monkeypatch) -> None:
    monkeypatch.setenv("A_TOKEN", "11112222")
    monkeypatch.setenv("B_TOKEN", "1111222233334444")
    assert redact("1111222233334444") == MARK


@pytest.mark.parametrize(
    "token", ["wJalrXUtnFEMI/K7MDENG/bPxRfiCY", "/wJalrXUtnFEMI/K7MDENGbPx", "//9j4AAQSkZJRg+ab"]
)
def test_a_token_with_slashes_is_replaced(monkeypatch, token: str) -> None:
    monkeypatch.setenv("AWS_SECRET_KEY", token)
    assert redact(f"signed with {token}, sent") == f"signed with {MARK}, sent"


def test_paths_stay_though_a_secret_variable_holds_one(monkeypatch, tmp_path) -> None:
    absolute = (tmp_path / "service" / "key.json", "/etc/tesuji/no-such-file.pem")
    for path in (*absolute, "~/secrets/key.json", "./keys/file.pem", "../keys/file.pem"):
        monkeypatch.setenv("SERVICE_CREDENTIALS", str(path))
        text = f"cannot read {path}: no such file"
        assert redact(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "0b4de19f25d3c0a3f5b2a1c7f0e9d8c7b6a59483",  # a git commit
        "mask-image-very-long-property-name",
        "risk-averse-and-desk-bound-players",
        "http://127.0.0.1:8000/v1",
        "runs/2025-01-01_tictactoe/stages/03-grpo/final/model.safetensors",
        "The monkey wins as x(1,1)",
    ],
)
def test_ordinary_text_stays(monkeypatch, text: str) -> None:
    monkeypatch.setenv("SOME_TOKEN", "x")
    monkeypatch.setenv("MONKEY", "The monkey")
    assert redact(text) == text


def test_nested_values_are_redacted_and_numbers_kept() -> None:
    nested = {"a": [f"hf_{LETTERS}", 1, None, ({f"sk-{LETTERS}": 0.5},)]}
    assert redact_all(nested) == {"a": [MARK, 1, None, [{MARK: 0.5}]]}
