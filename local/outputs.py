"""What the bootstrap created and the other processes need: names and addresses, no secrets."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Outputs:
    """The outputs of the stage `local`. In a cluster they are in the ConfigMap `<release>-outputs`."""

    queue_url: str
    dead_letter_queue_url: str
    user_pool_id: str
    user_pool_client_id: str
    cache_name: str
    momento_api_key_param_name: str

    def write(self, path: Path) -> None:
        """Write the file atomically."""
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_suffix(".draft")
        draft.write_text(json.dumps(asdict(self), indent=2) + "\n", encoding="utf-8")
        draft.replace(path)

    @classmethod
    def read(cls, path: Path) -> "Outputs":
        return cls(**json.loads(path.read_text(encoding="utf-8")))
