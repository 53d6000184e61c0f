"""``xtec simulate``."""

from __future__ import annotations

from math import isnan
from typing import Any

import rich_click as click

from xtec_cli.settings import Settings, global_options


@click.command("simulate")
@click.argument("preset", type=click.Choice(["cdw", "iuc", "phase-diagram", "tiny"]))
@click.option(
    "-o", "--output", required=True, metavar="PATH", help="File; a folder for nxrefine and phase-diagram."
)
@click.option("--layout", type=click.Choice(["stacked", "nxrefine"]), default="stacked", show_default=True)
@click.option("--region", metavar="H=A:B,K=A:B,L=A:B", help="Part of reciprocal space, in r.l.u.")
@click.option("--pixels", type=int, help="Grid steps per r.l.u.")
@click.option("--planar", is_flag=True, default=None, help="One plane at the lower end of L.")
@click.option("--temperatures", metavar="LOW:HIGH", help="In K.")
@click.option("--n-temperatures", type=int, help="How many.")
@click.option("--counts", type=float, help="Exposure: 1 as it is, more for less noise, 0 for none.")
@click.option("--q", metavar="H,K,L", help="Ordering wave vector, such as 1/2,1/2,0.")
@click.option("--tc", metavar="K,...", help="Transition temperatures, one for each transition.")
@click.option("--beta", metavar="B,...", help="Exponents, one for each transition.")
@click.option("--kind", type=click.Choice(["second-order", "first-order"]), help="Of the transitions.")
@click.option("--width", type=float, metavar="K", help="Standard deviation of Tc over the sample.")
@click.option("--heights", metavar="LOW,HIGH", help="Of the superlattice peaks at T = 0, in counts.")
@click.option("--critical", type=float, metavar="X", help="Strength of critical scattering, 0 for none.")
@click.option("--no-transition", is_flag=True, help="Leave the transitions out.")
@click.option("--cycle", type=float, metavar="K", help="Cool, then warm; Tc is K higher on warming.")
@click.option("--lattice", type=click.Choice(["cubic", "hexagonal"]), help="cdw, tiny: [cubic]")
@click.option("--third-transition", is_flag=True, help="iuc: a third transition near 100 K.")
@click.option("--gap", type=float, help="Width in units of a* of an arc of NaN, as a detector gap leaves it.")
@click.option("--hot-pixels", type=int, help="Voxels that always read far too high.")
@click.option("--seed", type=int, help="Same seed, same series.")
@click.option(
    "--compression",
    type=click.Choice(["none", "gzip", "lz4", "bitshuffle", "blosc"]),
    help="[gzip; none for nxrefine]",
)
@click.option("--chunks", metavar="T,L,K,H", help="Chunk shape [1,8,64,64; 50,50,50 for nxrefine].")
@click.option("--force", is_flag=True, help="Replace what is there.")
@global_options
@click.pass_obj
def simulate(settings: Settings, **values: Any) -> None:
    """Write a synthetic series whose transitions, wave vectors and labels are known.

    The truth stands in the same file under /entry/truth, or in the folder truth/ beside the scans.
    """
    from xtec_cli.show import show_json
    from xtec_pipelines.simulate import make_simulate_config, run_simulate

    settings.start_logging()
    written = run_simulate(make_simulate_config(values))
    if settings.json:
        show_json({"written": [each.as_json() for each in written]})
        return
    for each in written:
        shape = " x ".join(map(str, each.shape))
        orders = ", ".join(_order(tc, beta) for _, tc, beta in each.transitions)
        click.echo(f"{each.path}   {shape}   {each.nbytes / 1e6:.1f} MB   truth: {orders or 'no transition'}")


def _order(tc: float, beta: float) -> str:
    return f"jump at Tc = {tc:g} K" if isnan(beta) else f"Tc = {tc:g} K, beta = {beta:g}"
