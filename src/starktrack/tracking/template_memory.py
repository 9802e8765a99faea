"""The templates of one target: the initial one stays, dynamic ones are replaced over time."""

from collections import deque
from dataclasses import dataclass

from starktrack.tracking.protocol import Template


@dataclass
class TemplateMemory:
    """Templates in the order the network expects: initial first, then dynamic from old to new.

    Source: section 3.2, Input; all slots hold the initial template at the start.
    """

    initial: Template
    dynamic: deque[Template]

    @classmethod
    def start(cls, initial: Template, num_templates: int) -> "TemplateMemory":
        """Return a memory of `num_templates` slots, all with the template of the first frame."""
        return cls(initial, deque([initial] * (num_templates - 1), maxlen=num_templates - 1))

    def templates(self) -> list[Template]:
        """Return every template, initial first."""
        return [self.initial, *self.dynamic]

    def replace_oldest(self, template: Template) -> None:
        """Replace the oldest dynamic template by a new one."""
        self.dynamic.append(template)
