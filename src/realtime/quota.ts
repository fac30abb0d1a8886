/** Counts what each user holds open, up to a limit. */
export class Quota {
  readonly #held = new Map<string, number>()
  readonly #limit: number
  #total = 0

  constructor(limit: number) {
    this.#limit = limit
  }

  /** Takes one, or answers false at the limit. */
  take(userId: string): boolean {
    const held = this.#held.get(userId) ?? 0
    if (held >= this.#limit) return false
    this.#held.set(userId, held + 1)
    this.#total += 1
    return true
  }

  give(userId: string): void {
    const held = this.#held.get(userId) ?? 0
    if (held > 1) this.#held.set(userId, held - 1)
    else this.#held.delete(userId)
    this.#total -= 1
  }

  get total(): number {
    return this.#total
  }
}
