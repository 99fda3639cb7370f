"""What the cycler counted between the scans of two states."""

import numpy as np

from deltamu.recon.errors import InputError
from deltamu.recon.operando.cycler import CyclerRecord, read_cycler
from deltamu.recon.study.settings import Study, split_change
from deltamu.recon.study.settings_profile import CyclerFileSettings

SECONDS_PER_HOUR = 3600.0


def cycled_charges(study: Study) -> dict[str, float]:
    """Charge of every change that it is known of, mAh, positive for lithium into the cathode.

    As the study states it, or from the cycler's record: charging takes lithium out of the cathode.

    Raises
    ------
    InputError
        If the record cannot be read, or does not cover the hour of a state.
    """
    cycler, path = study.lithium.cycler, study.cycler_path()
    if cycler is None or path is None:
        return dict(study.lithium.charge_mah)
    record = read_cycler(
        path, columns=cycler.columns, decimal=cycler.decimal, encoding=cycler.encoding,
        current_sign=cycler.current_sign,
    )  # fmt: skip
    counted = {state: _charge_at(record, state, cycler) for state in cycler.state_hours}
    pairs = {change: split_change(change) for change in study.changes}
    return {
        change: counted[origin] - counted[to]
        for change, (to, origin) in pairs.items()
        if to in counted and origin in counted
    }


def _charge_at(record: CyclerRecord, state: str, cycler: CyclerFileSettings) -> float:
    hours = cycler.state_hours[state]
    charge = float(record.at(np.array([hours * SECONDS_PER_HOUR]), record.charge_mah)[0])
    if not np.isfinite(charge):
        last = record.times_s[-1] / SECONDS_PER_HOUR
        raise InputError(
            f"lithium.cycler.state_hours.{state}: found {hours:g} h, where {record.name} has no charge; expected "
            f"hours since its first record, 0 to {last:.3g}, outside its gaps"
        )
    return charge
