"""LiteLLM's settings that have no counterpart here, and what to do instead; one line each."""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ["ADVICE", "NOTHING_TO_DO", "SECTIONS", "advised"]

ALWAYS = "this gateway always does that"
COOLING = "what rests, and for how long, follows from the failure and the vendor's own words"
DATABASE = "this gateway needs no database; make client keys anew with: aigateway callers new NAME"
BUDGETS = "there are no budgets; limit callers with the guard rate_limit, and read costs from the log"
TEAMS = "there are no teams; name a client key for each, with models = [...] on it"
LOGS = "read the JSON line of each call, GET /metrics, or write a guard as a plug-in"
CHECKS = "targets that fail are noticed by the calls themselves"
TAGS = "name a route for each tag, or let the request say routing = {only = [...]}"

# Settings that change nothing because they are how this gateway works.
NOTHING_TO_DO = {
    "drop_params": "each plug-in leaves out or renames what its vendor refuses, and says so",
    "enable_pre_call_checks": "targets whose window is too small are passed over",
    "enable_pre_call_check": "targets whose window is too small are passed over",
    "enable_weighted_failover": ALWAYS,
    "ignore_invalid_deployments": "a configuration with a mistake is refused, with its line",
    "always_include_stream_usage": "usage is always asked for, and given to who asks for it",
    "return_response_headers": ALWAYS,
    "redact_user_api_key_info": "no key is ever logged",
    "turn_off_message_logging": "messages are not logged",
    "telemetry": "nothing is sent to anybody",
    "set_verbose": "use [server] log_level",
    "json_logs": "calls and accesses are logged as JSON",
    "debug_level": "use [server] log_level",
    "disable_prisma_schema_update": DATABASE,
    "disable_spend_logs": DATABASE,
    "forward_llm_provider_auth_headers": "a client's keys never go to a vendor",
    "allow_client_side_credentials": "a client's keys never go to a vendor",
}
ADVICE = {
    "allowed_fails": COOLING,
    "allowed_fails_policy": COOLING,
    "cooldown_time": COOLING,
    "disable_cooldowns": COOLING,
    "retry_after": COOLING,
    "retry_policy": "what is tried again follows from the failure; see [retries]",
    "model_group_retry_policy": "give a route its own: [routes.NAME] retries = { ... }",
    "content_policy_fallbacks": "a refusal for content is the answer; no other vendor is asked to go round it",
    "max_fallbacks": "[retries] attempts counts all calls of a request",
    "routing_groups": "give each route its own policy",
    "routing_strategy_args": "policies take no arguments",
    "enable_tag_filtering": TAGS,
    "tag_filtering_match_any": TAGS,
    "tag_routing_prefix": TAGS,
    "optional_pre_call_checks": 'for warm caches use policy = "sticky" on a route',
    "deployment_affinity_ttl_seconds": 'for warm caches use policy = "sticky" on a route',
    "provider_budget_config": BUDGETS,
    "max_budget": BUDGETS,
    "budget_duration": BUDGETS,
    "default_max_parallel_requests": "keys take concurrency = N",
    "default_litellm_params": "let the request say it",
    "keepalive_seconds": "an answer's headers wait for its first content",
    "success_callback": LOGS,
    "failure_callback": LOGS,
    "callbacks": LOGS,
    "service_callback": LOGS,
    "modify_params": "what a vendor refuses is left out; nothing else of a request is changed",
    "ssl_verify": "certificates are always verified; name your authority with SSL_CERT_FILE",
    "force_ipv4": "addresses are tried in the system's order",
    "key_generation_settings": DATABASE,
    "default_team_settings": TEAMS,
    "default_team_params": TEAMS,
    "default_internal_user_params": TEAMS,
    "max_internal_user_budget": BUDGETS,
    "cost_discount_config": "prices come from the plug-ins' catalogues",
    "cost_margin_config": "prices come from the plug-ins' catalogues",
    "database_url": DATABASE,
    "store_model_in_db": "models stand in the file; a change is a change of the file",
    "store_prompts_in_spend_logs": "messages are not kept",
    "database_connection_pool_limit": DATABASE,
    "allow_requests_on_db_unavailable": DATABASE,
    "custom_auth": "write a plug-in: the hook aigateway_callers",
    "enable_jwt_auth": "write [callers.jwt]",
    "litellm_jwtauth": "write [callers.jwt]",
    "allowed_ips": "give client keys networks = [...]",
    "allowed_routes": "what a key may use is said by its scopes and models",
    "admin_only_routes": "operators' routes need a key with the scope admin",
    "public_routes": "which routes are public is fixed",
    "max_parallel_requests": "use the guard concurrency, or concurrency = N on a vendor key",
    "global_max_parallel_requests": "use the guard concurrency",
    "completion_model": "the request's model counts; name a default_model for those that name none",
    "embedding_model": "the request's model counts",
    "moderation_model": "moderations are not served",
    "infer_model_from_keys": "name models as provider/MODEL",
    "background_health_checks": CHECKS,
    "health_check_interval": CHECKS,
    "enable_health_check_routing": CHECKS,
    "alerting": "watch GET /metrics and the log",
    "alerting_threshold": "watch GET /metrics and the log",
    "alert_types": "watch GET /metrics and the log",
    "alert_to_webhook_url": "watch GET /metrics and the log",
    "pass_through_endpoints": "only the routes of docs/reference/http.md are served",
    "forward_client_headers_to_llm_api": "a client's headers never go to a vendor",
    "litellm_key_header_name": "keys come as Authorization: Bearer, X-API-Key or api-key",
    "key_management_system": "write a plug-in that reads secrets: the hook aigateway_secrets",
    "key_management_settings": "write a plug-in that reads secrets: the hook aigateway_secrets",
    "enforce_user_param": "limits per user take the request's user field, or the caller",
    "ui_access_mode": "there is no web interface",
}
REQUEST = "there are no defaults per target; let the request say it"
AWS = "Amazon signs requests; ask it through a server that speaks OpenAI's dialect, or a plug-in"
# Settings of one deployment, besides those that are converted: in the whole, or how they begin.
OF_DEPLOYMENTS = {
    "max_tokens": f"{REQUEST}, or cap all requests with [limits] max_tokens",
    "max_completion_tokens": f"{REQUEST}, or cap all requests with [limits] max_tokens",
    "extra_headers": "what a vendor is sent besides its key is its plug-in's business; write one",
    "headers": "what a vendor is sent besides its key is its plug-in's business; write one",
    "num_retries": "give the route its own: retries = { attempts = N }",
    "tags": TAGS,
    "mock_": "for trying things out there are stand-in vendors: aigateway sandbox",
    "cooldown_time": COOLING,
    "max_budget": BUDGETS,
    "budget_duration": BUDGETS,
    "aws_": AWS,
    "vertex_": "Google's tokens change every hour; use gemini/MODEL with a key, or a plug-in",
    "configurable_clientside_auth_params": "a client's keys never go to a vendor",
    "merge_reasoning_content_in_choices": "reasoning reaches the caller as reasoning_content",
    "allowed_openai_params": "fields nobody knows pass through as they are",
    "use_in_pass_through": "only the routes of docs/reference/http.md are served",
    "use_litellm_proxy": "write its address as api_base",
    "ssl_verify": "certificates are always verified; name your authority with SSL_CERT_FILE",
    "guardrails": "write a guard as a plug-in",
}
# Whole sections beside the four that are converted.
SECTIONS = {
    "environment_variables": "values are not copied; set them in the environment, or in .env",
    "callback_settings": LOGS,
    "guardrails": "write a guard as a plug-in",
    "prompts": "prompts are the caller's",
    "mcp_servers": "MCP is not served",
    "mcp_tools": "MCP is not served",
    "search_tools": "tools are the caller's",
    "vector_store_registry": "vector stores are not served",
    "files_settings": "files are not served",
    "finetune_settings": "fine-tuning is not served",
    "assistant_settings": "assistants are not served",
    "agent_list": "agents are not served",
    "worker_registry": "there is no control plane",
    "include": "other files are not followed; convert them one by one",
}


def advised(settings: Iterable[str]) -> dict[str, list[str]]:
    """Sort the settings of a deployment that are not converted by what to do instead."""
    found: dict[str, list[str]] = {}
    for setting in settings:
        families = (start for start in OF_DEPLOYMENTS if start.endswith("_") and setting.startswith(start))
        known = setting if setting in OF_DEPLOYMENTS else next(families, "")
        found.setdefault(OF_DEPLOYMENTS.get(known, REQUEST), []).append(setting)
    return found
