/** Why a process cannot start. Trying again would end the same way, so the supervisor does not. */
export type StartupErrorCode =
  | 'port_taken'
  | 'address_unavailable'
  | 'port_forbidden'
  | 'token_required'
  | 'unusable_setting';

/** A fault of the configuration or the machine, told to whoever started the process: it names the setting and the fix. */
export class StartupError extends Error {
  readonly code: StartupErrorCode;
  /** The variable to change, for example VITRINE_GATEWAY_HTTP_PORT. */
  readonly setting: string;

  constructor(code: StartupErrorCode, setting: string, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = 'StartupError';
    this.code = code;
    this.setting = setting;
  }
}
