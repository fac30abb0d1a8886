/** The namespace of the `g:` elements, whatever prefix a file binds to it (product-feed contract, section 3.1). */
export const GOOGLE_NAMESPACE = 'http://base.google.com/ns/1.0'

/** One item of a feed whose every value has passed the rules: the fields of section 3.1 under our names. Money is in minor units. */
export interface FeedProduct {
  feedId: string
  title: string
  productType: string
  link: string
  /** Cleaned HTML, never null. */
  description: string
  imageLink: string
  price: number
  availability: string
  brand: string
  gtin: string
  itemGroupId: string
  condition: string
  ageGroup: string
  color: string
  gender: string
  salePrice: number | null
  oldPrice: number | null
  finalPrice: number | null
  quantity: number
  adult: boolean
  additionalImagesCount: number
  /** Two decimals, `12.50`. */
  optionsPercentage: string | null
  discountPercent: string | null
  genderOrigValue: string | null
  googleProductCategory: string | null
  adwordsLabels: string | null
  customLabel0: string | null
  customLabel1: string | null
  customLabel2: string | null
  customLabel3: string | null
  customLabel4: string | null
  iosUrl: string | null
  iosAppStoreId: string | null
  iosAppName: string | null
  androidPackage: string | null
  androidAppName: string | null
  iphoneAppName: string | null
  iphoneAppStoreId: string | null
  iphoneUrl: string | null
  iconMediaUrl: string | null
  allSizesSkus: string | null
  sizesOfAllSkus: string | null
  productSeason: string | null
  productClass: string | null
}

/**
 * How the text of an element becomes a value: `url` is http(s) only, `appUrl` any scheme but those that run code, `yes` a boolean,
 * `decimal` up to 999.99 with two decimals, `html` is cleaned.
 */
export type FeedKind = 'text' | 'url' | 'appUrl' | 'money' | 'integer' | 'count' | 'decimal' | 'yes' | 'html'

export interface FeedField {
  /** Name in FeedProduct. */
  key: keyof FeedProduct
  /** Name in JSON, in `sort_by` and in mails. */
  json: string
  element: string
  namespace: '' | typeof GOOGLE_NAMESPACE
  /** For `appLink` elements: the `property` that names this field; its value is the attribute `content`. */
  property?: string
  kind: FeedKind
  /** Characters, for texts. */
  limit?: number
  /** Without a value the item is a problem. */
  required: boolean
}

const MAX_URL = 500
/** Characters of a description after cleaning (contracts/README.md, decision 1). */
const MAX_DESCRIPTION = 100_000

/** Every field of a feed item, in the order of the contract. Parser, writer, JSON, sort fields and mails all follow this table. */
export const feedFields: readonly FeedField[] = [
  required(google('feedId', 'id', 'text', 50)),
  required(plain('title', 'title', 'text', 255)),
  required(google('productType', 'product_type', 'text', 255)),
  required(plain('link', 'link', 'url', MAX_URL)),
  required(plain('description', 'description', 'html', MAX_DESCRIPTION)),
  required(google('imageLink', 'image_link', 'url', MAX_URL)),
  required(google('price', 'price', 'money')),
  required(google('availability', 'availability', 'text', 50)),
  required(google('brand', 'brand', 'text', 100)),
  required(google('gtin', 'gtin', 'text', 100)),
  required(google('itemGroupId', 'item_group_id', 'text', 50)),
  required(google('condition', 'condition', 'text', 50)),
  required(google('ageGroup', 'age_group', 'text', 50)),
  required(google('color', 'color', 'text', 50)),
  required(google('gender', 'gender', 'text', 50)),
  google('salePrice', 'sale_price', 'money'),
  { ...google('oldPrice', 'old_price', 'money'), element: 'oldprice' },
  { ...google('finalPrice', 'final_price', 'money'), element: 'finalprice' },
  google('quantity', 'quantity', 'count'),
  google('adult', 'adult', 'yes'),
  plain('additionalImagesCount', 'additional_images_count', 'integer'),
  plain('optionsPercentage', 'options_percentage', 'decimal'),
  google('discountPercent', 'discount_percent', 'text', 50),
  google('genderOrigValue', 'gender_orig_value', 'text', 50),
  google('googleProductCategory', 'google_product_category', 'text', 100),
  google('adwordsLabels', 'adwords_labels', 'text', 255),
  google('customLabel0', 'custom_label_0', 'text', 255),
  google('customLabel1', 'custom_label_1', 'text', 255),
  google('customLabel2', 'custom_label_2', 'text', 255),
  google('customLabel3', 'custom_label_3', 'text', 255),
  google('customLabel4', 'custom_label_4', 'text', 255),
  google('iosUrl', 'ios_url', 'appUrl', MAX_URL),
  google('iosAppStoreId', 'ios_app_store_id', 'text', 100),
  google('iosAppName', 'ios_app_name', 'text', 100),
  google('androidPackage', 'android_package', 'text', 100),
  google('androidAppName', 'android_app_name', 'text', 100),
  appLink('iphoneAppName', 'iphone_app_name', 'text', 100),
  appLink('iphoneAppStoreId', 'iphone_app_store_id', 'text', 100),
  appLink('iphoneUrl', 'iphone_url', 'appUrl', MAX_URL),
  plain('iconMediaUrl', 'icon_media_url', 'url', MAX_URL),
  plain('allSizesSkus', 'all_sizes_skus', 'text', 255),
  plain('sizesOfAllSkus', 'sizes_of_all_skus', 'text', 255),
  plain('productSeason', 'product_season', 'text', 100),
  plain('productClass', 'product_class', 'text', 100),
]

function plain(key: keyof FeedProduct, element: string, kind: FeedKind, limit?: number): FeedField {
  return {
    key,
    json: element,
    element,
    namespace: '',
    kind,
    ...(limit === undefined ? {} : { limit }),
    required: false,
  }
}

function google(key: keyof FeedProduct, element: string, kind: FeedKind, limit?: number): FeedField {
  return { ...plain(key, element, kind, limit), namespace: GOOGLE_NAMESPACE }
}

function appLink(key: keyof FeedProduct, property: string, kind: FeedKind, limit: number): FeedField {
  return { ...plain(key, property, kind, limit), element: 'appLink', property }
}

function required(field: FeedField): FeedField {
  return { ...field, required: true }
}

/** The name of an element as a report shows it: `g:price`, `title`, `appLink iphone_url`. */
export function elementName(field: FeedField): string {
  if (field.property !== undefined) return `${field.element} ${field.property}`
  return field.namespace === '' ? field.element : `g:${field.element}`
}
