"""The settings of a process: one frozen tree from one TOML file and the environment."""

from settlement_node.config.faults import ConfigurationInvalid, Fault
from settlement_node.config.loading import find_file, load_settings
from settlement_node.config.sections import (
    ApiKey,
    ApiSettings,
    ChainSettings,
    DatabaseSettings,
    EndpointSettings,
    EngineSettings,
    FeeSettings,
    FinalitySettings,
    LoggingSettings,
    Settings,
    SignerKind,
    SignerSettings,
)

__all__ = [
    "ApiKey",
    "ApiSettings",
    "ChainSettings",
    "ConfigurationInvalid",
    "DatabaseSettings",
    "EndpointSettings",
    "EngineSettings",
    "Fault",
    "FeeSettings",
    "FinalitySettings",
    "LoggingSettings",
    "Settings",
    "SignerKind",
    "SignerSettings",
    "find_file",
    "load_settings",
]
