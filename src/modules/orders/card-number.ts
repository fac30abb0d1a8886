/**
 * Digits in groups as people write card numbers: any of them followed by up to five blanks, dashes, dots or characters nobody sees. A run of
 * groups that begins and ends where a group does and has 13 to 19 digits looks like one (ISO/IEC 7812-1 allows no more).
 */
const USUAL = /(?<!\p{Nd})\p{Nd}(?:[\s\p{Pd}\p{Cf}.]{0,5}\p{Nd}){12,18}(?!\p{Nd})/u
const SHORTEST = 13
const LONGEST = 19
/** What cannot stand between the groups of one number. */
const BREAK = /\p{L}|[^\p{L}\p{N}]{6,}/u

/** Whether a card number may stand somewhere in the text; such text is neither stored nor logged. */
export function hasCardNumber(text: string): boolean {
  // Digits in circles and the like are digits to whoever reads them.
  const plain = text.normalize('NFKC')
  return USUAL.test(plain) || plain.split(BREAK).some((run) => hasCheckedRun(run.match(/\d+/g) ?? []))
}

/** Between other signs, as in a date or an invoice number, the check digit decides. */
function hasCheckedRun(groups: readonly string[]): boolean {
  return groups.some((_, first) => {
    let digits = ''
    for (const group of groups.slice(first)) {
      digits += group
      if (digits.length > LONGEST) return false
      if (digits.length >= SHORTEST && isLuhn(digits)) return true
    }
    return false
  })
}

/** ISO/IEC 7812-1, annex B: every second digit from the right doubled, the sum of all digits a multiple of ten. */
function isLuhn(digits: string): boolean {
  const sum = Array.from(digits)
    .toReversed()
    .map((digit, place) => Number(digit) * ((place % 2) + 1))
    .reduce((total, value) => total + (value > 9 ? value - 9 : value), 0)
  return sum % 10 === 0
}
