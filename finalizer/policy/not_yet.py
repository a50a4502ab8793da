"""What finalizer.yaml can say and this release cannot do yet. The next one deletes this file and its one call."""

from __future__ import annotations

from finalizer.policy.read import Given, Reader
from finalizer.policy.schema import Format, Rekey


def refuse(given: Given, reader: Reader) -> None:
    """Note each input that is not native, or is to be re-keyed."""
    for index, one in enumerate(given.get("inputs", ())):
        form, rekey = one.get("format", Format.NATIVE), one.get("rekey", Rekey.NEVER)
        if form is not Format.NATIVE:
            reader.blame(f"{form.value} is not available yet in this release; native is", f"inputs[{index}].format")
        elif rekey is not Rekey.NEVER:
            message = f"{rekey.value} is not available yet in this release: key the records by trace id"
            reader.blame(message, f"inputs[{index}].rekey")
