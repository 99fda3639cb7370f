"""What every table of a settings file is made of."""

import re
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

STATE_NAME = re.compile(r"[a-z0-9_]+")
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Finite = Annotated[float, Field(allow_inf_nan=False)]
Fraction = Annotated[float, Field(ge=0, le=1)]


class Section(BaseModel):
    """A table of study.toml: unknown keys are refused, values do not change."""

    model_config = ConfigDict(extra="forbid", frozen=True)
