import { InvalidError } from '../../platform/errors.ts'

/** Some product or variant does not exist, is deleted or withdrawn (store contract, section 5.1). */
export function missingProducts(missing: readonly (readonly [productId: string, variant: string])[]): InvalidError {
  return new InvalidError('requested products and/or stock variants that do not exist', {
    code: 'missing_products',
    extensions: { missing },
  })
}
