"""What the bootstrap made and the other processes need to know: names and addresses, nothing secret."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Outputs:
    """The outputs of the stage `local`; the cluster's counterpart is the ConfigMap `<release>-outputs`."""

    queue_url: str
    dead_letter_queue_url: str
    user_pool_id: str
    user_pool_client_id: str
    cache_name: str
    momento_api_key_param_name: str

    def write(self, path: Path) -> None:
        """Appear at `path` whole or not at all."""
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_suffix(".draft")
        draft.write_text(json.dumps(asdict(self), indent=2) + "\n", encoding="utf-8")
        draft.replace(path)

    @classmethod
    def read(cls, path: Path) -> "Outputs":
        return cls(**json.loads(path.read_text(encoding="utf-8")))
