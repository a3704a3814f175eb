"""One question, one answer: an act carries a nonce that holds for one session, one job, one act and one use.

Pure: time is an argument. What was used is remembered for as long as it would otherwise still hold.
"""

from __future__ import annotations

import secrets
from collections import OrderedDict

from itsdangerous import BadData, URLSafeSerializer

from .limits import Limits

RESTLESS = frozenset({"resume"})  # nothing is lost by it, so the first click may do


class Nonces:
    """Makes and redeems them. The key lives as long as this process, as the sessions do."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._signer = URLSafeSerializer(secrets.token_bytes(32), salt="floatgate.act")
        self._used: OrderedDict[str, float] = OrderedDict()

    def make(self, session: str, job: str, act: str, now: float) -> str:
        """A nonce for this question."""
        text = self._signer.dumps([session, job, act, now, secrets.token_hex(8)])
        return text if isinstance(text, str) else text.decode()

    def redeem(self, nonce: str, session: str, job: str, act: str, now: float) -> bool:
        """Whether this is the answer to that question, given neither too fast nor too late nor twice."""
        self._forget(now)
        try:
            asked_session, asked_job, asked_act, made, mark = self._signer.loads(nonce)
        except (BadData, ValueError, TypeError):
            return False
        age = now - made
        rest = 0.0 if act in RESTLESS else self._limits.nonce_rest
        fits = (asked_session, asked_job, asked_act) == (
            session,
            job,
            act,
        ) and rest <= age < self._limits.nonce_life
        if not fits or mark in self._used:
            return False
        self._used[mark] = now
        return True

    def _forget(self, now: float) -> None:
        while self._used and now - next(iter(self._used.values())) > self._limits.nonce_life:
            self._used.popitem(last=False)
