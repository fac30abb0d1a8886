import type { App } from '../../platform/http/app.ts'
import { createJwts } from './jwts.ts'
import { oauthRoutes } from './oauth-routes.ts'
import { profileRoutes } from './profile-routes.ts'
import { secretKeyOf } from './secret-key.ts'
import { signInRoutes } from './sign-in-routes.ts'
import { signOutRoutes } from './sign-out-routes.ts'
import { signUpRoutes } from './sign-up-routes.ts'

export function identityRoutes(app: App): void {
  const jwts = createJwts(secretKeyOf(app.config))
  signUpRoutes(app, jwts)
  signInRoutes(app, jwts)
  signOutRoutes(app)
  oauthRoutes(app)
  profileRoutes(app)
}
