/** Those of the live contract, section 4, and of RFC 6455, section 7.4.1. */
export const closeCodes = {
  goingAway: 1001,
  flooding: 1008,
  tryAgainLater: 1013,
  credentialEnded: 4401,
  tooSlow: 4408,
} as const
