"What the paper says in words, checked against the record. Margins are wide: what only just holds should not be said."
from record import BENCHMARK, MESH, NEAR, OURS, QUADRATIC, RIVALS, SERIES, SKLEARN, TOOL, Node, assigned, both, decades, default, fraction, growth, ratio, slope


def claims(record: Node) -> dict[str, tuple[str, bool]]:
    "{name: (what is claimed, whether it holds in this record)}."
    return growth_claims(record) | space_claims(record) | error_claims(record)


def growth_claims(record: Node) -> dict[str, tuple[str, bool]]:
    near, square = ({series: decades(record, series, name)[-1] for series in SERIES} for name in (NEAR, QUADRATIC))
    pairs, first = ([growth(record, series, OURS, *names)[i] for series in SERIES] for names, i in (([QUADRATIC], -1), (RIVALS, 0)))
    made, crowded = default(BENCHMARK, "lesson", "k"), growth(record, "extent", OURS, *RIVALS)[-1]["contestants"]
    last, flat = [growth(record, series, OURS, MESH)[-1] for series in SERIES], growth(record, "extent", SKLEARN)[0]["contestants"][SKLEARN]
    return {
        "fitted": ("over all sizes the fitted exponent of our time in the plane is below one, in both series, by two standard errors",
                   all(fit[0] + 2 * fit[1] < 1 for series in SERIES for fit in [slope(record, series, OURS)["all"]])),
        "decades": ("in no decade is the exponent of our time in the plane above one and a quarter", all(s < 1.25 for series in SERIES for s in decades(record, series, OURS))),
        "mesh linear": ("the time of a mesh step, nothing merged, grows no faster than linearly at constant extent", all(s <= 1.05 for s in decades(record, "extent", MESH))),
        "square": ("a step over all pairs grows about as the square of the number of points", all(1.6 <= s <= 2.6 for s in square.values())),
        "near": ("a step over the closest points grows about linearly at constant density, about as the square at constant extent",
                 near["density"] <= 1.2 and near["extent"] >= 1.6),
        "pairs": ("the whole run is several times faster than five steps over all pairs, at the largest size that those were given", all(ratio(e, QUADRATIC) >= 5 for e in pairs)),
        "scikit-learn": ("in the plane our time is less than half of scikit-learn's at every size", all(ratio(e, SKLEARN) > 2 for e in both(record, OURS, SKLEARN))),
        "small": ("MeanShift++ and GridShift are both faster at the smallest size", all(ratio(e, name) < 1 for e in first for name in RIVALS)),
        "grid faster": ("GridShift is faster at most sizes in the plane", 2 * sum(ratio(e, "GridShift") < 1 for e in both(record, OURS, "GridShift")) > len(both(record, OURS, "GridShift"))),
        "splits": ("at constant extent MeanShift++ and GridShift split the clusters that were made, and we find their number",
                   crowded[OURS]["clusters"] == made and all(crowded[name]["clusters"] >= 1.5 * made for name in RIVALS)),
        "merging": ("merging pays: the whole run takes less time than five mesh steps without merging", ratio(growth(record, "extent", OURS, MESH)[-1], MESH) > 1.25),
        "more steps": ("more steps are taken at constant density than at constant extent", len({e["n"] for e in last}) == 1 and last[1]["contestants"][OURS]["steps"] > last[0]["contestants"][OURS]["steps"]),
        "flat": ("scikit-learn's flat kernel finds the clusters that were made on the smallest data", flat["clusters"] == made and flat["ari"] > .999),
        "cpu": ("the record was made without a GPU", not record["machine"]["gpu"]),
    }


def space_claims(record: Node) -> dict[str, tuple[str, bool]]:
    few, many = (ratio(growth(record, "extent", MESH, NEAR, d=3)[i], MESH, NEAR) for i in (0, -1))
    return {
        "space": ("in space our time is less than scikit-learn's at every size", all(ratio(e, SKLEARN) > 1.5 for e in both(record, OURS, SKLEARN, d=3))),
        "space grid": ("in space GridShift is faster at every size", all(ratio(e, "GridShift") < .9 for e in both(record, OURS, "GridShift", d=3))),
        "space late": ("in space at constant extent a mesh step costs more than one over the closest points for few points, less for many", few > 1.5 and many < .67),
    }


def error_claims(record: Node) -> dict[str, tuple[str, bool]]:
    parts, ((h4, q4), (h6, q6)) = record["parts"], assigned(TOOL, "MESHES")
    whole, five, mesh = list(parts["whole"]), parts["steps"][0]["contestants"], {e["order"]: e for e in parts["mesh"]}
    runs, points = [e["runs"][OURS] for e in whole], sum(e["n"] for e in whole)
    return {
        "order": ("the error of a mesh step falls with the order of its spline", all(q - .5 <= mesh[q]["slope"] <= q + 1.5 for q in mesh)),
        "small error": ("the two meshes in use err by less than a thousandth of a bandwidth on the lesson's data", max(mesh[q4]["error"][fraction(h4)], mesh[q6]["error"][fraction(h6)]) < 7e-4),
        "lonely": ("the worst error found beside a crowd is below a hundredth of a bandwidth", all(e["error"][way] < .007 for e in parts["lonely"] for way in e["error"])),
        "far": ("after five steps the points of MeanShift++ and GridShift are more than a bandwidth from those of exact steps, ours less than a thousandth",
                five[OURS]["error"] < 7e-4 and all(five[name]["error"] > 1.5 for name in RIVALS)),
        "median": ("the median point ends within a thousandth of a bandwidth of where the exact algorithm puts it", all(r["median"] < 7e-4 for r in runs)),
        "labels": ("fewer than one label in a thousand differs from the exact algorithm's", 1300 * sum(r["other labels"] for r in runs) < points),
    }
