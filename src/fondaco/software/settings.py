"""The settings in force: the last good version of the file in the bucket."""

from dataclasses import dataclass, field

from fondaco.backends.bucket import Bucket
from fondaco.backends.errors import KeyMissing
from fondaco.software.errors import BadSettings
from fondaco.software.keys import SETTINGS_NAME
from fondaco.software.ledger import Ledger
from fondaco.software.plan import fingerprint
from fondaco.software.refusal import Reason, Refusal
from fondaco.software.rules import MAX_SETTINGS_BYTES, Rules, parse


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What holds now."""

    rules: Rules
    changed: bool  # the ledger's rows were treated by other settings
    refusal: Refusal | None = None  # what is wrong with the file in the bucket
    facts: dict[str, str | None] = field(default_factory=dict)  # what the ledger is to remember once they are applied


class SettingsFile:
    """`.fondaco.toml` in the published folder."""

    def __init__(self, bucket: Bucket, ledger: Ledger, prefix: str) -> None:
        self.key = prefix + SETTINGS_NAME
        self._bucket = bucket
        self._ledger = ledger

    def last(self) -> Settings:
        """The settings that were read last, without asking the bucket."""
        text = self._ledger.fact("settings") or ""
        wrong = self._ledger.fact("settings_error")
        refusal = None if wrong is None else Refusal(reason=Reason.BAD_SETTINGS, detail=wrong)
        return self._settings(parse(text.encode()), refusal, {})

    def read(self) -> Settings:
        """The settings as they are in the bucket, or the last good ones; errors of reading are raised."""
        try:
            stream = self._bucket.open(self.key)
        except KeyMissing:
            return self._settings(Rules(), None, {"settings": None, "settings_error": None, "settings_version": None})
        version = fingerprint(stream.info)
        if version == self._ledger.fact("settings_version"):
            return self.last()
        if stream.info.size > MAX_SETTINGS_BYTES:
            return self._bad(version, f"the file has more than {MAX_SETTINGS_BYTES} bytes")
        raw = b"".join(stream)
        try:
            rules = parse(raw)
        except BadSettings as error:
            return self._bad(version, f"{error.what}: {error.why}")
        return self._settings(
            rules, None, {"settings": raw.decode(), "settings_error": None, "settings_version": version}
        )

    def _bad(self, version: str, why: str) -> Settings:
        rules = self.last().rules
        refusal = Refusal(reason=Reason.BAD_SETTINGS, detail=why)
        return self._settings(rules, refusal, {"settings_error": why, "settings_version": version})

    def _settings(self, rules: Rules, refusal: Refusal | None, facts: dict[str, str | None]) -> Settings:
        changed = rules.digest != (self._ledger.fact("rules") or Rules().digest)
        return Settings(rules=rules, changed=changed, refusal=refusal, facts={**facts, "rules": rules.digest})
