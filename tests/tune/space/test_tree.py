"""The tree of the dry run: each parameter below the ancestor that activates it, then the rules."""

from tune.space.load import space_from_plain
from tune.space.tree import rule_lines, space_tree

SPACE = {
    "contrastive.weight": {"float": [0.01, 30], "log": True},
    "head.kind": {"choice": ["none", "linear", "mlp"]},
    "head.dim": {"choice": [64, 128], "when": {"head.kind": ["linear", "mlp"]}, "default": 64},
    "head.layers": {
        "int": [1, 5],
        "step": 2,
        "when": {"head.kind": "mlp", "contrastive.weight": {"min": 1}},
    },
    "contrastive.symmetric": {"bool": True, "when": {"head.layers": {"max": 3}}},
}


def test_a_parameter_is_below_what_activates_it():
    assert space_tree(space_from_plain({"space": SPACE}))[:5] == [
        "  ├─ contrastive.weight: float 0.01 to 30, log",
        "  └─ head.kind: one of none, linear, mlp",
        "     ├─ [linear or mlp] head.dim: one of 64, 128, default 64",
        "     └─ [mlp and contrastive.weight at least 1] head.layers: int 1 to 5, step 2",
        "        └─ [at most 3] contrastive.symmetric: one of False, True",
    ]


def test_every_rule_has_its_line():
    lines = rule_lines(
        space_from_plain(
            {
                "space": SPACE,
                "objective": ["cer", "psnr"],
                "derived": {"head.width": "2 * head.dim"},
                "forbidden": [{"head.dim": [64, 128], "contrastive.weight": {"min": 2, "max": 3}}],
                "first": {"flat": {"head.kind": "none"}},
                "constraints": {"psnr": {"below_off": 0.5}},
                "budget": {
                    "trials": 30,
                    "wall_hours": 2.5,
                    "no_improvement": 8,
                    "match": "seconds",
                },
                "search": {"sampler": "nsga2", "duplicates": "repeat"},
                "verdict": {"primary": "ssim", "seeds": 5, "top": 2},
            }
        )
    )
    assert lines == [
        "derived    head.width = 2 * head.dim",
        "forbidden  head.dim 64 or 128 with contrastive.weight 2 to 3",
        "first      flat: head.kind=none",
        "constraint PSNR at most 0.5 dB below OFF",
        "search     sampler nsga2, no pruner; a configuration may run again with another seed",
        "budget     ends early after 2.5 hours or after 8 trials without a better one",
        "verdict    on ssim, practically equal within ±0.005; 5 seeds for one of the best 2 "
        "configurations; OFF trains as long as ON, in seconds",
    ]


def test_an_experiment_has_no_search_and_a_search_may_have_no_verdict():
    assert rule_lines(space_from_plain({"budget": {"seeds": 4}})) == [
        "verdict    on score, practically equal within ±0.3; 4 seeds"
    ]
    lines = rule_lines(
        space_from_plain(
            {
                "space": SPACE,
                "verdict": {"seeds": 0},
                "budget": {"target": 0.25},
                "objective": "cer",
            }
        )
    )
    assert lines == [
        "search     sampler tpe, pruner asha from epoch 5; no configuration runs twice",
        "budget     ends early at cer 0.25",
        "verdict    none",
    ]
