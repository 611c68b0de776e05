"""A Flagger canary whose thresholds come from the objective; https://docs.flagger.app/usage/metrics."""

from __future__ import annotations

import re
from typing import Any

from shadowlab import errors
from shadowlab.records import Objective

WEIGHTS = (10, 50)
"""Per cent of traffic: step and most. After the last step Flagger promotes."""
FAILED_CHECKS = 5
_P95 = (
    "histogram_quantile(0.95, sum by (le) (rate(http_server_request_duration_seconds_bucket"
    '{{namespace="{{{{ namespace }}}}", pod=~"{pods}"}}[{{{{ interval }}}}])))'
)


def canary(service: str, objective: Objective | None, *, budget_ms: float) -> str:
    """Two YAML documents: how to measure the shift of latency, and the canary.

    Success rate: Flagger's own check in per cent, at least the objective's target (99.9 where there is none). Latency:
    the canary's 95th percentile minus the primary's, at most the budget that the candidate was gated with, from
    OpenTelemetry's `http.server.request.duration` as Prometheus stores it. A service's name is made
    one that Kubernetes takes; raises `UsageError` when nothing of it is left.
    """
    import yaml

    name = re.sub(r"[^a-z0-9]+", "-", service.lower())[:40].strip("-")
    if not name:
        raise errors.UsageError(
            f"service {service[:80]!a} has no letter that a Kubernetes name may have",
            hint="name it in lower-case letters, digits and hyphens in shadowlab.toml",
        )
    documents = (_latency(name), _canary(name, objective, budget_ms))
    head = "# For review: shadowlab applies nothing. Namespace, port and Prometheus are the platform's to set.\n"

    class Dumper(yaml.SafeDumper):
        """Writes a text of several lines as such."""

    def text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
        return dumper.represent_scalar("tag:yaml.org,2002:str", value, style="|" if "\n" in value else None)

    Dumper.add_representer(str, text)
    return head + str(yaml.dump_all(documents, Dumper=Dumper, sort_keys=False, default_flow_style=False, width=1000))


def target_of(objective: Objective | None) -> float:
    """The share of good requests that the canary must keep."""
    return objective.target if objective else 0.999


def _canary(service: str, objective: Objective | None, budget_ms: float) -> dict[str, Any]:
    step, most = WEIGHTS
    return {
        "apiVersion": "flagger.app/v1beta1",
        "kind": "Canary",
        "metadata": {"name": service},
        "spec": {
            "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": service},
            "service": {"port": 80},
            "analysis": {
                "interval": "1m",
                "threshold": FAILED_CHECKS,
                "stepWeight": step,
                "maxWeight": most,
                "metrics": [
                    {
                        "name": "request-success-rate",
                        "thresholdRange": {"min": round(target_of(objective) * 100, 6)},
                        "interval": "1m",
                    },
                    {
                        "name": "latency-p95-shift-ms",
                        "templateRef": {"name": f"{service}-latency-p95-shift-ms"},
                        "thresholdRange": {"max": budget_ms},
                        "interval": "1m",
                    },
                ],
            },
        },
    }


def _latency(service: str) -> dict[str, Any]:
    canary = _P95.format(pods="{{ target }}-[0-9a-zA-Z]+(-[0-9a-zA-Z]+)")
    primary = _P95.format(pods="{{ target }}-primary-[0-9a-zA-Z]+(-[0-9a-zA-Z]+)")
    return {
        "apiVersion": "flagger.app/v1beta1",
        "kind": "MetricTemplate",
        "metadata": {"name": f"{service}-latency-p95-shift-ms"},
        "spec": {
            "provider": {"type": "prometheus", "address": "http://prometheus.monitoring:9090"},
            "query": f"1000 * ({canary}\n- {primary})\n",
        },
    }
