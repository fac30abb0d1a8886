import type { Module } from '../../module.ts'
import { registerExportRoute } from './export-routes.ts'
import { importMailSubscriber, importSummaryMail } from './import-mails.ts'
import { endAbandonedSweep, forgetIdsSweep, removeFilesSweep } from './import-sweeps.ts'
import { importThreadService } from './import-thread-service.ts'
import { registerImportRoutes } from './routes.ts'
import { openSpool } from './spool.ts'
import { importTopics } from './topics.ts'

/** The part of the catalogue that imports feeds in the background and exports them; the catalogue's index takes it in. */
export const imports = {
  name: 'catalog.imports',
  topics: importTopics,
  mailTemplates: [importSummaryMail],
  routes: (app) => {
    registerImportRoutes(app)
    registerExportRoute(app)
  },
  subscribers: () => [importMailSubscriber],
  sweeps: (context) => {
    const spool = openSpool(context.config.dataDir)
    return [removeFilesSweep(context, spool), forgetIdsSweep(context), endAbandonedSweep(context, spool)]
  },
  services: (context) => [importThreadService(context, openSpool(context.config.dataDir))],
} satisfies Module
