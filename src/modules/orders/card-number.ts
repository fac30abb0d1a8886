/**
 * Digits in groups as people write card numbers: any of them followed by up to five blanks, dashes, dots or characters nobody sees. A run of
 * groups that begins and ends where a group does and has 13 to 19 digits looks like one (ISO/IEC 7812-1 allows no more).
 */
const CARD_NUMBER = /(?<!\p{Nd})\p{Nd}(?:[\s\p{Pd}\p{Cf}.]{0,5}\p{Nd}){12,18}(?!\p{Nd})/u

/** Whether a card number may stand somewhere in the text; such text is neither stored nor logged. */
export function hasCardNumber(text: string): boolean {
  return CARD_NUMBER.test(text)
}
