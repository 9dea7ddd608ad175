"""Tokens signed by somebody else: what is pinned decides, what the token says of itself is only compared."""

from __future__ import annotations

import base64
import hmac
import json
from collections.abc import Mapping
from hashlib import sha256
from math import inf, nan
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from aigateway.callers import Callers, Claims, Grant, StaticKeys, Tokens, Visit, parse_jwks
from aigateway.errors import ConfigurationError, Unauthenticated
from aigateway.secrets import Secret
from aigateway.types import Caller

from .at_once import at_once

SECRET = Secret("signing-secret-0123456789-abcdefghijkl")
NOW = 1_800_000_000.0
SAYS: Mapping[str, Any] = {"sub": "ada", "exp": NOW + 60}

RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
OTHER_RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
EC = ec.generate_private_key(ec.SECP256R1())
ED = ed25519.Ed25519PrivateKey.generate()
SIGNERS: Mapping[str, Any] = {"RS256": RSA, "PS256": RSA, "ES256": EC, "EdDSA": ED}
KIDS = {"RS256": "rsa", "PS256": "rsa", "ES256": "ec", "EdDSA": "ed"}


def segment(data: object) -> str:
    """Write one part of a token."""
    raw = data if isinstance(data, bytes) else json.dumps(data).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def signed(says: object = SAYS, header: Mapping[str, Any] | None = None, *, secret: bytes | None = None) -> str:
    """Sign whatever it is with HS256, whether or not a library would."""
    begun = segment({"alg": "HS256", "typ": "JWT", **(header or {})}) + "." + segment(says)
    return begun + "." + segment(hmac.digest(secret or SECRET.reveal().encode(), begun.encode(), sha256))


def raw(payload: str) -> str:
    """Sign a payload as it is written."""
    return signed(payload.encode())


def public(key: Any, kid: str, **more: object) -> dict[str, Any]:
    """Write the public half of a key as a JWK."""
    sort = {rsa.RSAPrivateKey: jwt.algorithms.RSAAlgorithm, ec.EllipticCurvePrivateKey: jwt.algorithms.ECAlgorithm}
    algorithm = next((a for k, a in sort.items() if isinstance(key, k)), jwt.algorithms.OKPAlgorithm)
    return {**algorithm.to_jwk(key.public_key(), as_dict=True), "kid": kid, **more}


JWKS = {"keys": [public(RSA, "rsa"), public(EC, "ec"), public(ED, "ed")]}
ALL = ("RS256", "PS256", "ES256", "EdDSA")


def keyed(*algorithms: str, keys: Mapping[str, Any] = JWKS, **claims: Any) -> Tokens:
    """Check against public keys."""
    return Tokens(Claims(algorithms or ALL, **claims), keys=keys)


def shared(**claims: Any) -> Tokens:
    """Check against the shared secret."""
    return Tokens(Claims(**claims), secret=SECRET)


def who(tokens: Tokens, token: str, at: float = NOW) -> Caller | None:
    """Give who is let in with a token; every refusal is the same."""
    try:
        return at_once(Callers(StaticKeys([]), [tokens]).caller(token, Visit(at)))
    except Unauthenticated as error:
        assert (401, "invalid_api_key") == (error.status, error.code)
        return None


def grant(tokens: Tokens, token: str) -> Grant | None:
    """Give what a token allows."""
    return at_once(tokens.find(token, NOW))


# -- tokens in order -------------------------------------------------------------------------------


def test_a_token_names_its_caller() -> None:
    """By `sub`; a tenant of its own, so that nobody becomes a configured key's by name."""
    token = signed()

    assert Caller("ada", frozenset({"chat"}), Secret(token).id, "jwt:ada") == who(shared(), token)
    assert token not in repr(who(shared(), token))
    assert token == jwt.encode(dict(SAYS), SECRET.reveal(), "HS256") or who(
        shared(), jwt.encode(dict(SAYS), SECRET.reveal(), "HS256")
    )


@pytest.mark.parametrize("algorithm", ALL)
def test_public_keys_of_every_sort(algorithm: str) -> None:
    """Found by `kid`; another key's `kid`, another algorithm of the same key, another signer: nobody."""
    tokens, kid = keyed(), KIDS[algorithm]
    token = jwt.encode(dict(SAYS), SIGNERS[algorithm], algorithm, headers={"kid": kid})

    assert "ada" == getattr(who(tokens, token), "name", None)
    assert "ada" == getattr(who(keyed(algorithm), token), "name", None)
    assert who(keyed(*(other for other in ALL if other != algorithm)), token) is None
    for other in {"rsa", "ec", "ed", "unknown", ""} - {kid}:
        assert who(tokens, jwt.encode(dict(SAYS), SIGNERS[algorithm], algorithm, headers={"kid": other})) is None
    assert who(tokens, jwt.encode(dict(SAYS), SIGNERS[algorithm], algorithm)) is None
    assert who(tokens, token[:-4] + "AAAA") is None
    assert who(shared(), token) is None


def test_another_signer_is_nobody() -> None:
    """With the right `kid`, and with another secret."""
    assert who(keyed(), jwt.encode(dict(SAYS), OTHER_RSA, "RS256", headers={"kid": "rsa"})) is None
    assert who(shared(), signed(secret=b"another-secret-0123456789-abcdefghijkl")) is None


# -- forgeries -------------------------------------------------------------------------------------


@pytest.mark.parametrize("algorithm", ["none", "NONE", "nOnE", "", None, 5, ["HS256"], {}, "HS256 ", "hs256"])
def test_a_token_cannot_choose_not_to_be_signed(algorithm: object) -> None:
    """Without a signature, with an empty or the right one, however `none` is written."""
    begun = segment({"alg": algorithm, "kid": "rsa"}) + "." + segment(dict(SAYS))
    right = segment(hmac.digest(SECRET.reveal().encode(), begun.encode(), sha256))
    for token in (begun + ".", begun + "." + right, begun, begun + ".AA"):
        assert who(shared(), token) is None
        assert who(keyed(), token) is None


def test_a_public_key_is_no_secret() -> None:
    """HS256 over the public key, in every form somebody might have it: refused where public keys are expected."""
    forms = [
        RSA.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
        RSA.public_key().public_bytes(Encoding.PEM, PublicFormat.PKCS1),
        RSA.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
        RSA.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH),
        json.dumps(JWKS["keys"][0]).encode(),
        b"",
        b"None",
    ]
    for form in forms:
        for kid in ("rsa", "ec", "", "unknown"):
            assert who(keyed(), signed(header={"kid": kid}, secret=form or b"\0")) is None


@pytest.mark.parametrize("name", ["jwk", "jku", "x5u", "x5c"])
def test_a_token_cannot_bring_its_own_key(name: str) -> None:
    """A key in the header, or an address of one, is not looked at: no connection, no trust."""
    brought = {"jwk": public(OTHER_RSA, "rsa"), "jku": "http://192.0.2.1/", "x5u": "http://192.0.2.1/", "x5c": ["AA=="]}
    for headers in ({"kid": "rsa", name: brought[name]}, {name: brought[name]}):
        assert who(keyed(), jwt.encode(dict(SAYS), OTHER_RSA, "RS256", headers=headers)) is None
    # A token that is in order stays so.
    assert who(keyed(), jwt.encode(dict(SAYS), RSA, "RS256", headers={"kid": "rsa", name: brought[name]}))


@pytest.mark.parametrize("crit", [["exp"], ["b64"], [], "exp", None, 5, [5], {}])
def test_extensions_that_must_be_understood_are_not(crit: object) -> None:
    """Whatever is critical, the token is refused: there is none we know."""
    assert who(shared(), signed(header={"crit": crit})) is None
    assert who(shared(), signed(header={"crit": crit, "b64": False})) is None
    assert who(shared(), signed(header={"b64": False})) is None


def test_an_unknown_key_is_told_from_a_known_one() -> None:
    """Whoever fetches keys asks this first; a shared secret is always at hand."""
    assert keyed().knows(jwt.encode(dict(SAYS), RSA, "RS256", headers={"kid": "rsa"}))
    assert not keyed().knows(jwt.encode(dict(SAYS), RSA, "RS256", headers={"kid": "new"}))
    assert not keyed().knows("ey..")
    assert shared().knows("ey..")


def test_keys_are_replaced_as_a_whole() -> None:
    """What is no longer published is no longer trusted."""
    tokens = keyed()
    token = jwt.encode(dict(SAYS), RSA, "RS256", headers={"kid": "rsa"})
    assert who(tokens, token)

    tokens.load({"keys": [public(EC, "ec")]})
    assert who(tokens, token) is None
    tokens.load({"keys": [public(OTHER_RSA, "rsa")]})
    assert who(tokens, token) is None
    tokens.load(JWKS)
    assert who(tokens, token)


# -- what it must say ------------------------------------------------------------------------------


def test_a_token_is_valid_until_the_second_it_ends() -> None:
    """`exp` and `nbf` to the second on our clock, the leeway on either side, `iat` for information."""
    token = signed({**SAYS, "nbf": NOW, "iat": NOW + 9999})
    for leeway in (0.0, 30.0):
        tokens = shared(leeway=leeway)
        first, over = NOW - leeway, NOW + 60 + leeway
        assert [False, True] == [bool(who(tokens, token, at)) for at in (first - 0.01, first)]
        assert [True, False, False] == [bool(who(tokens, token, at)) for at in (over - 0.01, over, over + 1)]


@pytest.mark.parametrize("missing", ["exp", "sub"])
def test_what_a_token_must_say(missing: str) -> None:
    """Who, and until when; null says nothing."""
    assert who(shared(), signed({what: value for what, value in SAYS.items() if what != missing})) is None
    assert who(shared(), signed({**SAYS, missing: None})) is None


@pytest.mark.parametrize(
    ("said", "fits"),
    [
        ({"aud": "gateway", "iss": "https://id.example"}, True),
        ({"aud": ["other", "gateway"], "iss": "https://id.example"}, True),
        ({"iss": "https://id.example"}, False),
        ({"aud": "gateway"}, False),
        ({"aud": "gatewa", "iss": "https://id.example"}, False),
        ({"aud": "gateway", "iss": "https://id.example/"}, False),
        ({"aud": [], "iss": "https://id.example"}, False),
        ({"aud": None, "iss": "https://id.example"}, False),
        ({"aud": {"gateway": 1}, "iss": "https://id.example"}, False),
        ({"aud": ["gateway", 5], "iss": "https://id.example"}, False),
        ({"aud": "gateway", "iss": ["https://id.example"]}, False),
        ({"aud": "gateway", "iss": None}, False),
    ],
)
def test_audience_and_issuer_are_compared(said: dict[str, Any], fits: bool) -> None:
    """As configured, exactly."""
    tokens = shared(audience="gateway", issuer="https://id.example")

    assert fits == bool(who(tokens, signed({**SAYS, **said})))


def test_without_an_audience_configured_none_is_compared() -> None:
    """Whoever configured none takes tokens for anybody."""
    assert who(shared(), signed({**SAYS, "aud": "whoever", "iss": "wherever"}))


ODD: list[object] = ["soon", "1900000000", "", [], [NOW + 60], {}, {"a": 1}, True, False, None, inf, -inf, nan, -1, 0]


@pytest.mark.parametrize("value", ODD, ids=range(len(ODD)))
def test_times_are_numbers(value: object) -> None:
    """Text, lists, truth, infinities, no number, the past: nobody gets in, and nothing breaks."""
    assert who(shared(), signed({**SAYS, "exp": value})) is None
    if value not in (-1, 0, False):
        assert grant(shared(), signed({**SAYS, "nbf": value})) is None


@pytest.mark.parametrize(
    "exp", ["1e400", "-1e400", "9" * 400, "9" * 5000, "NaN", "Infinity", "1e308", "01", "0x99", '"9"', "[[[]]]"]
)
def test_times_in_any_writing(exp: str) -> None:
    """A number that is no moment is none; a far one is far."""
    token = raw('{"sub":"ada","exp":%s}' % exp)  # noqa: UP031  # JSON by hand

    assert (exp == "1e308") == bool(who(shared(), token))


def test_the_last_of_two_is_said() -> None:
    """Whoever signed it meant one of them; never both, and never an error."""
    assert who(shared(), raw('{"sub":"ada","exp":1,"exp":1900000000}'))
    assert who(shared(), raw('{"sub":"ada","exp":1900000000,"exp":1}')) is None


@pytest.mark.parametrize(
    "sub", ["", " \n", "a\r\nb", "a\0", "\x1b[31m", "\u2028", "\ud800", "x" * 129, "x" * 5000, 5, True, [], {}, ["ada"]]
)
def test_names_can_be_shown(sub: object) -> None:
    """One short printable line; anything else is refused rather than cut, for two cut names might be one."""
    assert who(shared(), signed({**SAYS, "sub": sub})) is None


def test_long_names_with_the_same_beginning_are_two_callers() -> None:
    """Up to 128 characters, all of them count."""
    names = ["x" * 127 + end for end in "ab"]
    callers = [who(shared(), signed({**SAYS, "sub": name})) for name in names]

    assert [(name, f"jwt:{name}") for name in names] == [(c.name, c.tenant) for c in callers if c is not None]


# -- what it may allow -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "scopes"),
    [
        ({"scope": "chat"}, {"chat"}),
        ({}, {"chat"}),  # nobody becomes an operator by saying nothing
        ({"scope": "admin chat openid"}, {"chat", "admin"}),
        ({"scope": ["chat", "root"]}, {"chat"}),
        ({"scopes": ["chat"]}, {"chat"}),
        ({"scopes": "admin"}, {"admin"}),
        ({"scope": "chat", "scopes": ["admin"]}, {"chat"}),
        ({"scope": ""}, set()),
        ({"scope": []}, set()),
        ({"scope": "root"}, set()),
        ({"scope": "chatadmin"}, set()),
        ({"scope": "CHAT"}, set()),
        ({"scope": {"chat": False}}, {"chat"}),
    ],
)
def test_scopes_are_narrowed(said: dict[str, Any], scopes: set[str]) -> None:
    """Never more than is configured; saying nothing means all of that but the operator's."""
    caller = who(shared(scopes=frozenset({"chat", "admin"})), signed({**SAYS, **said}))

    assert caller is not None
    assert scopes == caller.scopes
    narrow = who(shared(), signed({**SAYS, **said}))
    assert narrow is not None
    assert scopes & {"chat"} == narrow.scopes


@pytest.mark.parametrize("scope", [None, 5, True, 1.5, [["chat"]], [{}]])
def test_odd_scopes_allow_nothing(scope: object) -> None:
    """What cannot be read is not taken for silence."""
    for name in ("scope", "scopes"):
        caller = who(shared(), signed({**SAYS, name: scope}))
        assert caller is None or not caller.scopes


# -- garbage ---------------------------------------------------------------------------------------

DEEP = "[" * 4000


@pytest.mark.parametrize(
    "token",
    [
        "ey..",
        "ey.a.b",
        "eyJ.eyJ.eyJ",
        "....",
        signed() + ".",
        "." + signed(),
        signed()[:-1],
        signed() + "A",
        signed().replace(".", "..", 1),
        signed() + "\n",
        signed([]),
        signed("text"),
        signed(None),
        raw(""),
        raw("{"),
        raw(DEEP),
        raw('{"a":' * 900),
        signed(b"\xff\xfe"),
        segment(DEEP.encode()) + "." + segment(dict(SAYS)) + ".AA",
        segment(b'{"a":' * 900) + "." + segment(dict(SAYS)) + ".AA",
        segment(b'{"alg":"HS256","kid":5}') + "." + segment(dict(SAYS)) + ".AA",
        segment(b"[]") + "." + segment(dict(SAYS)) + ".AA",
        segment(b"\xff\xfe") + "." + segment(dict(SAYS)) + ".AA",
        "eyé.a.b",
        "ey\ud800.a.b",
        "ey\0.a.b",
        "ey" + "A" * 2**20 + ".a.b",
        signed({**SAYS, "more": "x" * 8192}),
        "ey" + "." * 2**20,
    ],
    ids=range(29),
)
def test_garbage_is_nobody(token: str) -> None:
    """Too few or many parts, no base64, no JSON, no object, depths, other scripts, a megabyte."""
    assert who(shared(), token) is None
    assert who(keyed(), token) is None
    assert not keyed().knows(token)


@given(st.text(max_size=400) | st.tuples(*[st.binary(max_size=90).map(segment)] * 3).map(".".join))
def test_anything_is_answered(token: str) -> None:
    """No text makes it break, claimed or not."""
    for tokens in (SHARED, KEYED):
        assert who(tokens, token) is None
        assert grant(tokens, token) is None
        assert not KEYED.knows(token)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
CLAIMS = ["sub", "exp", "nbf", "iat", "aud", "iss", "scope", "scopes", "jti"]


@given(st.dictionaries(st.sampled_from(CLAIMS), JSON), st.dictionaries(st.sampled_from(["kid", "typ", "cty"]), JSON))
def test_whatever_is_signed_is_answered(says: dict[str, Any], header: dict[str, Any]) -> None:
    """A signer's mistakes are refusals; whoever gets in has a name, an end and at most the configured scopes."""
    found = grant(SHARED, signed({"exp": NOW + 60, "sub": "ada", **says}, header))
    if found is not None:
        assert found.ends < inf
        assert found.starts > -inf
        assert found.caller.name.isprintable()
        assert found.caller.scopes <= {"chat"}


def test_only_what_is_written_like_a_token_is_claimed() -> None:
    """Keys of other sorts are left to their own."""
    assert SHARED.claims(signed())
    for key in ("", "ey", "ey.", "sk-a.b.c", "gw_live_a.b.c", "ey.a.b.c", "ey" + "a" * 8192 + "..", "eyé.."):
        assert not SHARED.claims(key)


# -- at the start ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("algorithms", "secret", "keys"),
    [
        ((), SECRET, None),
        ((), None, JWKS),
        (("HS256",), None, None),
        (("HS256",), SECRET, JWKS),
        (("HS256",), None, JWKS),
        (("RS256",), SECRET, None),
        (("HS256", "RS256"), SECRET, None),
        (("HS256", "RS256"), None, JWKS),
        (("none",), None, JWKS),
        (("none",), SECRET, None),
        (("HS256", "none"), SECRET, None),
        (("HS265",), SECRET, None),
        (("rs256",), None, JWKS),
    ],
)
def test_settings_that_would_let_tokens_be_forged_are_refused(
    algorithms: tuple[str, ...], secret: Secret | None, keys: Mapping[str, Any] | None
) -> None:
    """A mixture of sorts, no algorithm, none, an unknown one, both a secret and keys, neither."""
    with pytest.raises(ConfigurationError, match=r"callers\.jwt takes a secret with HS256"):
        Tokens(Claims(algorithms), secret=secret, keys=keys)


PEM = RSA.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


@pytest.mark.parametrize(
    ("algorithm", "secret"),
    [
        ("HS256", "x" * 31),
        ("HS256", ""),
        ("HS384", "x" * 47),
        ("HS512", "x" * 63),
        ("HS256", PEM),
        ("HS256", json.dumps(JWKS)),
        ("HS256", RSA.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()),
    ],
    ids=range(7),
)
def test_a_weak_secret_is_refused_at_the_start(algorithm: str, secret: str) -> None:
    """Shorter than the digest, or known to everybody; it is not shown."""
    with pytest.raises(ConfigurationError, match=r"a random secret of (32|48|64) bytes or more") as error:
        Tokens(Claims((algorithm,)), secret=Secret(secret))
    assert not secret or secret not in error.value.message
    Tokens(Claims((algorithm,)), secret=Secret("x" * (int(algorithm[2:]) // 8)))


PRIVATE = {**jwt.algorithms.RSAAlgorithm.to_jwk(OTHER_RSA, as_dict=True), "kid": "x"}
SHORT = rsa.generate_private_key(public_exponent=65537, key_size=1024)
UNUSABLE: list[Any] = [
    None,
    5,
    "x",
    [],
    {},
    {"kid": "x"},
    {"kty": "RSA", "kid": "x"},
    {"kty": "RSA", "kid": "x", "n": 5, "e": []},
    {"kty": "RSA", "kid": "x", "n": "AQAB", "e": "!"},
    {"kty": "EC", "kid": "x", "crv": "P-256", "x": "AA", "y": "AA"},
    {"kty": "EC", "kid": "x", "crv": "P-999", "x": "AA", "y": "AA"},
    {"kty": "OKP", "kid": "x", "crv": "X25519", "x": "AA"},
    {"kty": "oct", "kid": "x", "k": base64.urlsafe_b64encode(b"x" * 32).decode()},
    {"kty": "RSA", "kid": [], "n": "AQAB", "e": "AQAB"},
    {**public(OTHER_RSA, "x"), "use": "enc"},
    {**public(OTHER_RSA, "x"), "alg": "HS256"},
    {**public(OTHER_RSA, "x"), "alg": "none"},
    {**public(OTHER_RSA, "x"), "alg": "RS512"},
    {**public(OTHER_RSA, "x"), "alg": 5},
    {what: value for what, value in public(OTHER_RSA, "x").items() if what != "kid"},
    public(SHORT, "x"),
    PRIVATE,
]


@pytest.mark.parametrize("key", UNUSABLE, ids=range(len(UNUSABLE)))
def test_keys_that_cannot_be_used_are_left_out(key: Any) -> None:
    """Broken, secret, private, short, for encryption, for another algorithm: no token gets in by them, others work."""
    tokens = keyed(keys={"keys": [key, *JWKS["keys"]]})

    assert who(tokens, jwt.encode(dict(SAYS), RSA, "RS256", headers={"kid": "rsa"}))
    assert who(tokens, jwt.encode(dict(SAYS), OTHER_RSA, "RS256", headers={"kid": "x"})) is None
    if key is UNUSABLE[-2]:
        with pytest.warns(jwt.InsecureKeyLengthWarning):
            token = jwt.encode(dict(SAYS), SHORT, "RS256", headers={"kid": "x"})
        assert who(tokens, token) is None
    assert who(tokens, signed(header={"kid": "x"}, secret=b"x" * 32)) is None


def test_a_key_for_one_algorithm_is_for_no_other() -> None:
    """`alg` of a key binds it; without one every pinned algorithm of its sort will do."""
    bound = keyed(keys={"keys": [public(RSA, "rsa", alg="PS256")]})

    assert who(bound, jwt.encode(dict(SAYS), RSA, "PS256", headers={"kid": "rsa"}))
    assert who(bound, jwt.encode(dict(SAYS), RSA, "RS256", headers={"kid": "rsa"})) is None


@pytest.mark.parametrize("keys", [{}, {"keys": None}, {"keys": {}}, {"keys": "x"}])
def test_a_set_without_keys_knows_nobody(keys: Mapping[str, Any]) -> None:
    """Until one is loaded."""
    tokens = keyed(keys=keys)

    assert who(tokens, jwt.encode(dict(SAYS), RSA, "RS256", headers={"kid": "rsa"})) is None


@pytest.mark.parametrize("text", [b"", b"[]", b"null", b"{", b'{"keys": {}}', b"<html>", b"\xff", b"[" * 100_000])
def test_a_document_without_keys_is_refused(text: bytes) -> None:
    """An error page, half a document, another format."""
    with pytest.raises(ConfigurationError, match="no list of keys"):
        parse_jwks(text)
    assert JWKS == parse_jwks(json.dumps(JWKS).encode())


SHARED, KEYED = shared(), keyed()
