"""Rewrites a component for HTP in the number format that was chosen."""

from __future__ import annotations

from passes.float.value_ranges import observe_ranges
from passes.integer.choose_scheme import choose_scheme, measure_scheme
from passes.integer.encoding_plan import LEAST_SQNR
from passes.integer.requantize import requantize
from passes.integer.scheme import Scheme
from program.remark import Remark
from targets.contract.legalize import Legalized, LegalizeJob
from targets.contract.npu_format import FLOAT16, STANDARD
from targets.snapdragon.htp.legalize.pipeline import legalize_float16


def legalize_for_htp(job: LegalizeJob, *, wide_factors: bool) -> Legalized:
    """Rewrites a component in place.

    Args:
        job: Its format is float16, or bits of activations and weights.
        wide_factors: Whether all chips multiply two 16-bit activations.

    Raises:
        PassError: The component cannot be rewritten; `FormatRangeError` where integers may hold what float16 does not.
    """
    component, feeds = job.component, job.feeds
    if job.format == FLOAT16:
        return Legalized(job.format, legalize_float16(component, observe_ranges(component.model, feeds)))
    scheme, detail, least_sqnr = Scheme(job.format.name), "", LEAST_SQNR
    remarks: list[Remark] = []
    if job.measured:
        choice = choose_scheme(component, feeds, float16=False, wide_factors=wide_factors)
        scheme, detail, least_sqnr = choice.scheme or scheme, choice.reason, choice.least_sqnr
        remarks = choice.remarks(component)
    elif scheme is Scheme.A8W8:
        row = measure_scheme(component, scheme, feeds, wide_factors=wide_factors)
        detail, least_sqnr = f"{row.sqnr:.1f} dB against float32", row.least_sqnr
    remarks += requantize(component, scheme, feeds, wide_factors=wide_factors, least_sqnr=least_sqnr)
    return Legalized(STANDARD[scheme.value], remarks, detail)
