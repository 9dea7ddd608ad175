"""Who asks: client keys and what they may do; pure rules."""

from ._file import FileStore
from ._grants import Grant, Visit, admit, domain_of, networks
from ._jwt import Claims, Tokens, parse_jwks
from ._keys import Callers, StaticKeys, Verifier, require
from ._seal import FernetSeal
from ._stored import ENVIRONMENTS, CallerStore, Peppers, StoredKeys, new_key
from ._weekly import Hand, WeeklyKeys

__all__ = [
    "ENVIRONMENTS", "CallerStore", "Callers", "Claims", "FernetSeal", "FileStore", "Grant", "Hand", "Peppers",
    "StaticKeys", "StoredKeys", "Tokens", "Verifier", "Visit", "WeeklyKeys", "admit", "domain_of", "networks",
    "new_key", "parse_jwks", "require",
]  # fmt: skip  # a list of names
