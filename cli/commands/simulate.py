"""``xtec simulate``."""

from __future__ import annotations

from math import isnan
from typing import Any

import rich_click as click

from xtec_cli.settings import Settings, global_options


@click.command("simulate")
@click.argument("preset", type=click.Choice(["cdw", "iuc", "phase-diagram", "tiny"]))
@click.option("-o", "--output", metavar="PATH", help="File; a folder for nxrefine and phase-diagram.")
@click.option(
    "--layout", type=click.Choice(["stacked", "nxrefine"]), help="[stacked; nxrefine with --arrive]"
)
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
@click.option(
    "--domains", metavar="X,Y,Z", help="iuc: weights of domains along a, b, c; unequal ones break the cube."
)
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
@click.option("--arrive", metavar="DIR", help="Let the temperatures arrive in this folder, one by one.")
@click.option("--every", metavar="TIME", help="With --arrive: time between two, such as 0.2s or 2m [5s].")
@click.option("--order", type=click.Choice(["rising", "falling", "random"]), help="With --arrive. [rising]")
@click.option(
    "--faults",
    metavar="NAME,...",
    help="With --arrive: truncated, duplicate, vanish, unfinished, rewritten, or all.",
)
@global_options
@click.pass_obj
def simulate(settings: Settings, /, **values: Any) -> None:
    """Write a synthetic series whose transitions, wave vectors and labels are known.

    The truth stands in the same file under /entry/truth, or in the folder truth/ beside the scans.

    With --arrive the temperatures come one by one, as NXRefine writes them: the transform, then the wrapper,
    under locks. Each fault befalls one of them: a file is truncated and repaired later; a temperature comes
    twice; one vanishes, for some time or for good; one is never finished; one is measured badly and
    rewritten. Ctrl-C ends it.

    \b
    xtec simulate tiny -o tiny.nxs
    xtec simulate cdw -o srn.nxs --q 1/2,1/2,0 --tc 120 --beta 0.33 --seed 4
    xtec simulate cdw --arrive scans --every 5s --faults truncated,vanish
    """
    if values["arrive"] is not None:
        _arrive(settings, values)
        return
    needless = [name for name in ("every", "order", "faults") if values.pop(name) is not None]
    if needless:
        raise click.UsageError(f"--{needless[0]} goes with --arrive")
    if values["output"] is None:
        raise click.UsageError("Missing option '-o' / '--output'.")
    del values["arrive"]
    _write(settings, values)


def _write(settings: Settings, values: dict[str, Any]) -> None:
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


def _arrive(settings: Settings, values: dict[str, Any]) -> None:
    from xtec_cli.show import show_json
    from xtec_pipelines.simulating.arrive import Done, make_arrive_config, run_arrive

    def show(done: Done) -> None:
        if settings.json:
            show_json(done.as_json())
        else:
            click.echo(f"{done.seconds:8.1f} s   {done.scan:>8} {done.action:<28} {done.path}")

    settings.start_logging()
    run_arrive(make_arrive_config(values), show)


def _order(tc: float, beta: float) -> str:
    return f"jump at Tc = {tc:g} K" if isnan(beta) else f"Tc = {tc:g} K, beta = {beta:g}"
